"""One call to an actor type: its tries, each at one actor, until one is answered.

What follows from the end of a try is decided in :mod:`actr_peer.protocol.rpc.choice`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, TypeVar

from actr_peer.errors import (
    BrokenError,
    CallError,
    ClosedError,
    DeadlineError,
    MayHaveRunError,
    PeerError,
    UnreachableError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.call_errors import is_not_started
from actr_peer.protocol.rpc.choice import Fate, Step, Tries
from actr_peer.rpc.destinations.chosen.chooser import Chooser
from actr_peer.rpc.destinations.contracts import DiffersError
from actr_peer.service import CallOptions, Method, Req, fingerprint_of

Result = TypeVar("Result")

REACHED_WITHIN: Final = 3.0
"""Seconds after which an actor to which no wire has come up is put aside for another."""
LOOK_EVERY: Final = 0.25
"""Seconds between two looks at whether the callee of an idempotent method is still there."""
HARDLY: Final = 0.001
"""Seconds that a call may take longer, instead of being told anew what is left."""
SILENT_LOOKS: Final = 2
"""Looks in a row that find no wire, after which another actor is asked."""


class Trying:
    """One call, from its first try to its last.

    Args:
        timeout: Seconds for all of it; None: no limit.
    """

    def __init__(
        self,
        chooser: Chooser,
        own: ActrId,
        method: Method[Any, Any],
        options: CallOptions,
        timeout: float | None,
    ) -> None:
        self.method = method
        self.service = method.route_key.rpartition(".")[0]
        self.fingerprint = fingerprint_of(self.service)
        self.tries = Tries(own, is_idempotent=method.is_idempotent)
        self.last: PeerError | None = None
        """How the last try ended."""
        self.aside: dict[ActrId, None] = {}
        """Actors that wait for a wire, oldest first: asked when nobody else is left."""
        self.is_last = False
        """Nobody else is left to be asked, as far as is known."""
        self._chooser = chooser
        self._options = options
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._deadline = None if timeout is None else self._loop.time() + timeout

    @property
    def left_out(self) -> set[ActrId]:
        """Who is not to be chosen."""
        return self.tries.left_out | self.aside.keys()

    async def next(self) -> Attempt:
        """The next try, at an actor to which there is a wire.

        Raises:
            PeerError: How the last try ended, if nobody is left.
            UnreachableError: If there was nobody.
            DeadlineError: If the time is over before.
        """
        self.is_last = False
        chosen = self._chooser.chosen(self)
        if chosen is not None and self._is_usable(chosen):  # nearly always
            return Attempt(self, self._chooser, chosen, self._left())
        try:
            async with asyncio.timeout_at(self._deadline) as limit:
                chosen = await self._reached()
                return Attempt(self, self._chooser, chosen, self._left())
        except TimeoutError as exc:
            if not limit.expired():
                raise
            why = "" if self.last is None else f"; of the last that was tried: {self.last}"
            raise DeadlineError(
                f"no actor of the type {self._chooser.name} found in {self._timeout:g} s{why}"
            ) from exc

    async def _reached(self) -> ActrId:
        while True:
            chosen = await self._chooser.choose(self)
            if chosen is None:
                return await self._resort()
            if self._is_usable(chosen):
                return chosen
            link = self._chooser.link(chosen)
            if not link.was_ready:
                try:
                    async with asyncio.timeout(REACHED_WITHIN) as patience:
                        await link.ready()
                    return chosen
                except TimeoutError:
                    if not patience.expired():
                        raise
                except (UnreachableError, BrokenError, ClosedError) as exc:
                    self._unreached(chosen, exc)
                    continue
            self.aside[chosen] = None
            self._chooser.lost(self, chosen)

    async def _resort(self) -> ActrId:
        """Nobody else is left: one that was put aside, for as long as there is time."""
        while self.aside:
            chosen = next(iter(self.aside))
            link = self._chooser.link(chosen)
            try:
                await link.ready()  # one that is being mended: the call waits in its lane
                self.is_last = True
                return chosen
            except (UnreachableError, BrokenError, ClosedError) as exc:
                del self.aside[chosen]
                self._unreached(chosen, exc)
        raise self._exhausted()

    def _unreached(self, remote: ActrId, error: PeerError) -> None:
        self.last = error
        self.tries.ended(remote, Fate.UNSENT)
        self._chooser.lost(self, remote)

    def _exhausted(self) -> PeerError:
        count = self.tries.count
        if self.last is None:
            return UnreachableError(self._chooser.name, "no other actor of this type is online")
        if count == 1 or isinstance(self.last, CallError):
            return self.last
        return UnreachableError(
            self._chooser.name, f"{count} actors of this type were tried; the last: {self.last}"
        )

    def _is_usable(self, remote: ActrId) -> bool:
        """Whether a call can go there now: one that is kept goes when it can."""
        link = self._chooser.link(remote)
        return (
            bool(self._options.durable)
            or link.is_ready
            or (link.was_ready and not self._chooser.waits)
        )

    def _left(self) -> CallOptions:
        """The options, with the time that is left."""
        if self._deadline is None:
            return self._options
        left = self._deadline - self._loop.time()
        if self._timeout is not None and self._timeout - left < HARDLY:
            return self._options
        return replace(self._options, timeout=max(0.0, left))


class Attempt:
    """One try, as a block: leaving it with an error that another actor may mend leaves none.

    Attributes:
        gate: The caller for the actor that is asked.
        options: With the time that is left.
        has_begun: An item of the stream went one way or the other, or the first request is waited
            for.
    """

    def __init__(
        self, trying: Trying, chooser: Chooser, remote: ActrId, options: CallOptions
    ) -> None:
        self.gate = chooser.gate(remote)
        self.options = options
        self.has_begun = False
        self._trying = trying
        self._chooser = chooser
        self._remote = remote
        self._is_silent = False
        self._looks = 0

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(exc, PeerError):
            return False
        trying = self._trying
        fate = self._fate(exc)
        step = trying.tries.ended(self._remote, fate)
        trying.aside.pop(self._remote, None)
        if fate is Fate.SILENT and self._chooser.waits:  # it may come back, and nobody else be left
            trying.aside[self._remote] = None
        if fate is Fate.REFUSED:
            self._chooser.unfit(trying, self._remote)
        elif fate is not Fate.ANSWERED:
            self._chooser.lost(trying, self._remote)
        elif isinstance(exc, DeadlineError):
            self._chooser.slow(trying, self._remote)
        if step is Step.TELL:
            raise MayHaveRunError(trying.method.route_key, str(self._remote), str(exc)) from exc
        trying.last = exc
        return step is Step.ANOTHER

    def _fate(self, exc: PeerError) -> Fate:
        sent = getattr(self.gate, "sent", 1)
        if isinstance(exc, DiffersError):
            return Fate.REFUSED if sent <= 1 else Fate.ANSWERED
        if self.options.durable:  # it is kept for this actor
            return Fate.ANSWERED
        if self._is_silent:
            return Fate.SILENT
        if isinstance(exc, CallError):
            has_not_run = not sent or (is_not_started(exc) and not self.has_begun)
            return Fate.UNSENT if has_not_run else Fate.ANSWERED
        if not isinstance(exc, UnreachableError | BrokenError | ClosedError):
            return Fate.ANSWERED
        if self.has_begun:
            return Fate.BEGUN
        if not sent:
            return Fate.UNSENT
        return Fate.ANSWERED if isinstance(exc, ClosedError) else Fate.LOST

    async def begins(self, requests: AsyncIterable[Req]) -> AsyncIterator[Req]:
        """The same requests; asking for the first is the stream's beginning, for who stops asking
        ends them, and another actor would be sent none."""
        self.has_begun = True
        async for request in requests:
            yield request

    async def answer(self, reply: Awaitable[Result]) -> Result:
        """Wait for ``reply``; of an idempotent method, for as long as the actor is there, where
        another may be.

        Raises:
            BrokenError: If no wire to it works any more.
        """
        if self._trying.is_last or not self._trying.method.is_idempotent:
            return await reply
        self._looks = 0
        timer: asyncio.TimerHandle | None = None
        loop = asyncio.get_running_loop()

        def look() -> None:
            nonlocal timer
            is_there = self.has_begun or self._chooser.link(self._remote).is_ready
            self._looks = 0 if is_there else self._looks + 1
            if self._looks < SILENT_LOOKS:
                timer = loop.call_later(LOOK_EVERY, look)
            else:
                limit.reschedule(loop.time())

        try:
            async with asyncio.timeout(None) as limit:
                timer = loop.call_later(LOOK_EVERY, look)
                try:
                    return await reply
                finally:
                    timer.cancel()
        except TimeoutError as exc:
            if not limit.expired():
                raise
            self._is_silent = True
            raise BrokenError(f"no wire to {self._remote} works any more") from exc
