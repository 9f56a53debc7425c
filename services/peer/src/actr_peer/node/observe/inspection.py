"""The service ``actr.Inspection`` of every actor: how it stands, and its dead letters.

Nobody may look unless the actor's configuration says so: who looks learns with whom it talks, and
a dead letter is what somebody wrote to it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from time import thread_time, time
from typing import Final, Literal, Protocol

from actr.services import inspection_pb2 as pb
from actr.services.inspection_actr import InspectionService
from actr_peer.errors import CallError, Code
from actr_peer.node.observe.changes import Changes
from actr_peer.node.observe.told import changes_told, letter_told, told
from actr_peer.node.observe.view import NodeView
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.access.principals import Principal
from actr_peer.state.mailbox.dead_letters import MAX_LISTED, Filter, Letters
from actr_peer.state.storage.database import StorageError

MAX_WATCHERS: Final = 16
"""Of one actor: each costs it a view a second."""
MAX_OF_ONE: Final = 4
"""Of those, from one caller: who takes what it may leaves room for others. Where nobody proves who
they are, one may call by several ids."""
INTERVAL: Final = 1.0
LEAST_INTERVAL: Final = 0.5
"""Seconds between two views that a watcher may ask for."""
SOONEST: Final = 0.1
"""Seconds between two views, where a wire has changed meanwhile."""
SHARE: Final = 4 * MAX_WATCHERS
"""A watcher waits for so many times what its view took of the processor: all of them together take
a quarter of it at most. A view of 512 links takes 20 ms and more, and whose wires flap wants ten a
second."""
LATEST: Final = 5.0
"""Seconds after which the next view may be had, whatever the last one took."""
DEFAULT_LETTERS: Final = 100
MAX_ENVELOPES: Final = 16
"""Told at once: each may have 16 MiB."""

Allowed = Literal["off", "look", "operate"]
"""What others may do: nothing; look; look, and replay and drop dead letters."""


class Asked(Protocol):
    """What is read of the request's :class:`~actr_peer.Context`."""

    @property
    def self_id(self) -> ActrId: ...

    @property
    def caller(self) -> Principal: ...


class InspectionHere(InspectionService):
    """Tells of one actor.

    Args:
        allowed: What others may do.
        view: Looks at it.
    """

    def __init__(
        self,
        allowed: Allowed,
        *,
        view: Callable[[], NodeView],
        changes: Changes,
        letters: Letters,
    ) -> None:
        self._allowed = allowed
        self._view = view
        self._changes = changes
        self._letters = letters
        self._watchers = Counter[str]()

    async def watch(self, request: pb.WatchRequest, ctx: Asked, /) -> AsyncIterator[pb.ActorView]:
        self._check(ctx)
        interval = max(LEAST_INTERVAL, request.interval_ms / 1000 or INTERVAL)
        with self._place(ctx):
            seen, last = 0, b""
            while True:
                began = thread_time()
                view = self._view()
                now = self._told_since(view, seen)
                seen = self._changes.count
                # A map's order is no news.
                form = now.SerializeToString(deterministic=True)
                pause = min(max(SOONEST, SHARE * (thread_time() - began)), LATEST)
                if form != last or now.changes:
                    last = form
                    yield _dated(now, view)
                await asyncio.sleep(pause)
                await self._changes.until(seen, max(0.0, interval - pause))

    @contextmanager
    def _place(self, ctx: Asked) -> Iterator[None]:
        """One of those who watch; who has a key is one by all its ids."""
        who = ctx.caller.fingerprint or ctx.caller.text
        if self._watchers[who] >= MAX_OF_ONE:
            raise CallError(
                Code.RESOURCE_EXHAUSTED,
                f"{ctx.caller} looks at {ctx.self_id} {MAX_OF_ONE} times already",
            )
        if self._watchers.total() >= MAX_WATCHERS:
            raise CallError(Code.RESOURCE_EXHAUSTED, f"{MAX_WATCHERS} look at {ctx.self_id}")
        self._watchers[who] += 1
        try:
            yield
        finally:
            self._watchers -= Counter((who,))  # who has none left is forgotten

    def _told_since(self, view: NodeView, seen: int) -> pb.ActorView:
        said = told(view)
        said.changes.extend(changes_told(self._changes.since(seen)))
        said.change_count = self._changes.count
        said.allowed = self._allowed
        return said

    async def find_letters(
        self, request: pb.FindLettersRequest, ctx: Asked, /
    ) -> AsyncIterator[pb.DeadLetter]:
        self._check(ctx)
        most = MAX_ENVELOPES if request.with_envelopes else MAX_LISTED
        which = Filter(
            sequences=_numbers(request.numbers),
            sender=request.sender,
            route=request.route,
            reason=request.reason,
            request_id=request.request_id,
            after=request.after or -1,
            limit=min(most, request.limit or DEFAULT_LETTERS),
        )
        with _stored():
            found = await self._letters.find(which)
        for letter in found:
            if not request.with_envelopes:
                yield letter_told(letter)
                continue
            with _stored():
                whole = await self._letters.show(letter.sequence)
            if whole is not None:  # it was not dropped meanwhile
                yield letter_told(whole)

    async def replay_letters(
        self, request: pb.LetterNumbers, ctx: Asked, /
    ) -> AsyncIterator[pb.LetterNumbers]:
        self._check_operates(ctx)
        with _stored():
            done = await self._letters.replay(_numbers(request.numbers))
        yield pb.LetterNumbers(numbers=done)

    async def drop_letters(
        self, request: pb.LetterNumbers, ctx: Asked, /
    ) -> AsyncIterator[pb.LetterNumbers]:
        self._check_operates(ctx)
        with _stored():
            done = await self._letters.drop(_numbers(request.numbers))
        yield pb.LetterNumbers(numbers=done)

    def _check(self, ctx: Asked) -> None:
        if self._allowed == "off":
            raise CallError(
                Code.UNIMPLEMENTED, f"{ctx.self_id} lets nobody look in (actor.inspection)"
            )

    def _check_operates(self, ctx: Asked) -> None:
        self._check(ctx)
        if self._allowed != "operate":
            raise CallError(
                Code.PERMISSION_DENIED,
                f"{ctx.self_id} lets others look, and change nothing (actor.inspection)",
            )


def _dated(said: pb.ActorView, view: NodeView) -> pb.ActorView:
    said.version = view.versions["actr"]
    said.started_at_ms = round(view.started_at * 1000)
    said.now_ms = round(time() * 1000)
    return said


@contextmanager
def _stored() -> Iterator[None]:
    """What the mailbox's file cannot do is the caller's to know."""
    try:
        yield
    except StorageError as exc:
        raise CallError(Code.UNAVAILABLE, str(exc)) from exc


def _numbers(numbers: Iterable[int]) -> tuple[int, ...]:
    """
    Raises:
        CallError: If they are too many.
    """
    chosen = tuple(numbers)
    if len(chosen) > MAX_LISTED:
        raise CallError(Code.INVALID_ARGUMENT, f"over {MAX_LISTED} numbers at once")
    return chosen
