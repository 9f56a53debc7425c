"""Shell: tells watchers what has changed, a little in each turn of the loop.

A change is told at once when the last one was told a while ago. What changes more often is told
every :data:`INTERVAL`, each actor once, from what watchers know to what is; so is what changes
while a watcher is slow, when it has caught up. However many watch, and however much one of them
has missed, others have their turn after :data:`TELLING`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from time import perf_counter

import structlog

from actr_signaling.errors import Close
from actr_signaling.hub.peers import Burst, Peer
from actr_signaling.protocol import json_form
from actr_signaling.protocol.client import replies
from actr_signaling.protocol.client.session import State
from actr_signaling.protocol.presence.records import Entry
from actr_signaling.protocol.presence.untold import Untold
from actr_signaling.protocol.presence.view import Moved, Told

log = structlog.get_logger()

INTERVAL = 0.05
"""Seconds between two times at which changes are told."""
MAX_TOGETHER = 64
"""Changes that are told in one piece."""
TELLING = 0.002
"""Seconds of one turn of the loop for telling."""
MAX_MISSED = 262_144
"""Changes kept for all that are slow, together; then who has missed most is cut."""


Sees = Callable[[Peer, Entry], bool]


class _News:
    """Changes that are told together, each event written once in each form."""

    def __init__(self, moves: Sequence[Moved]) -> None:
        self.moves = moves
        self._told = [told for moved in moves for told in moved.told]
        self.actr_types = {"", *map(_type_of, self._told)}
        self._written: dict[tuple[int, bool], bytes | str] = {}
        self._bursts: dict[tuple[str, bool], Burst] = {}
        """All of a realm, in each form: for those who watch everything."""

    def tell(self, peer: Peer, sees: Sees | None, known: Collection[str] = ()) -> None:
        """Tell all of it that ``peer`` watches, and may see.

        Args:
            sees: None: everybody is shown to everybody.
            known: Types of which it knows by a snapshot.
        """
        session = peer.session
        if session.id is None or session.state is State.CLOSED:
            return
        if known or sees is not None or "" not in session.watches:
            burst = self._burst(peer, sees, known)
        else:
            key = session.id.realm, peer.is_json
            kept = self._bursts.get(key)
            burst = self._bursts[key] = kept or self._burst(peer, None, ())
        if burst.messages:
            peer.send_burst(burst)

    def _burst(self, peer: Peer, sees: Sees | None, known: Collection[str]) -> Burst:
        """What one hears."""
        is_json = peer.is_json
        messages = [
            self._form(place, told, is_json=is_json)
            for place, told in enumerate(self._told)
            if _hears(peer, told)
            and _type_of(told) not in known
            and (sees is None or sees(peer, told.entry))
        ]
        return Burst.of(messages)

    def _form(self, place: int, told: Told, *, is_json: bool) -> bytes | str:
        written = self._written.get((place, is_json))
        if written is None:
            data = replies.event(told)
            written = json_form.to_json(data) if is_json else data
            self._written[place, is_json] = written
        return written


class Crier:
    """Owned by the watchers.

    Args:
        hearers: Who watches the subjects of changes, in any form of them.
        sees: Whether an actor is shown to a connection; asked anew for each telling, for there
            may be rules or not: None while everybody is shown to everybody.
    """

    def __init__(
        self,
        hearers: Callable[[Sequence[Moved]], list[Peer]],
        sees: Callable[[], Sees | None] = lambda: None,
    ) -> None:
        self._sees = sees
        self.pending = Untold()
        """What no watcher is told yet."""
        self._hearers_of = hearers
        self._news: _News | None = None
        """What is just being told, to those in ``_left``, the last first."""
        self._left: list[Peer] = []
        self._skipped: dict[Peer, set[str]] = {}
        """Of those, who knows some of it by a snapshot, and of which types."""
        self._slow: dict[Peer, Untold] = {}
        """What those who are slow were not told."""
        self.pieces = 0
        """Of what was told: several have one version where all of a store was read anew."""
        self._missed = 0
        """Changes in it."""
        self._recovering: dict[Peer, None] = {}
        """Those of them who read again."""
        self._told_at = float("-inf")
        self._handle: asyncio.Handle | None = None
        self._recovery: asyncio.Handle | None = None

    @property
    def version(self) -> int | None:
        """Of what watchers know; None: all there is, or just being told."""
        return self.pending.version - 2 if self.pending else None

    def cry(self, moves: Iterable[Moved]) -> None:
        """Have changes told, now or soon."""
        for moved in moves:
            self.pending.add(moved)
        if self.pending and self._handle is None:
            loop = asyncio.get_running_loop()
            wait = self._told_at + INTERVAL - loop.time()
            if wait > 0:
                self._handle = loop.call_later(wait, self._tell)
            else:
                self._tell()

    def skip(self, peer: Peer, actr_type: str) -> None:
        """It knows by a snapshot of the type what is just being told, if that is in it, and what
        it was too slow to be told."""
        if self._news is not None and actr_type in self._news.actr_types:
            self._skipped.setdefault(peer, set()).add(actr_type)
        missed = self._slow.get(peer)
        if missed is not None:
            self._missed -= missed.drop(actr_type)

    def forget(self, peer: Peer) -> None:
        """A connection has ended."""
        self.skip(peer, "")
        self._recovering.pop(peer, None)
        missed = self._slow.pop(peer, None)
        if missed is not None:
            self._missed -= len(missed)

    def catch_up(self, peer: Peer) -> None:
        """Tell one that was slow what it has missed, as far as it reads."""
        if peer in self._slow:
            self._recovering[peer] = None
            if self._recovery is None:
                self._recover()

    def _tell(self) -> None:
        """Tell what there is time for; the rest after others had their turn."""
        loop = asyncio.get_running_loop()
        until = perf_counter() + TELLING
        self._handle = None
        while self._begin():
            self._tell_one()
            if perf_counter() >= until:
                break
        self._told_at = loop.time()
        if self._left or self.pending:
            self._handle = loop.call_soon(self._tell)

    def _begin(self) -> bool:
        """Whether there is somebody to tell something to."""
        while not self._left:
            self._news = None
            self._skipped.clear()
            if not self.pending:
                return False
            count = min(len(self.pending), MAX_TOGETHER)
            self.pieces += 1
            moves = [self.pending.take() for _ in range(count)]
            self._left = self._hearers_of(moves)[::-1]
            if self._left:
                self._news = _News(moves)
        return True

    def _tell_one(self) -> None:
        assert self._news is not None
        peer = self._left.pop()
        known = self._skipped.get(peer, ())
        if "" in known:
            return
        if peer.is_slow or peer in self._slow:
            for moved in self._news.moves:
                if moved.actr_type not in known:
                    self._miss(peer, moved)
        else:
            self._news.tell(peer, self._sees(), known)

    def _miss(self, peer: Peer, moved: Moved) -> None:
        if peer.session.state is State.CLOSED:
            return  # it was cut for what it has missed
        missed = self._slow.setdefault(peer, Untold())
        before = len(missed)
        missed.add(moved)
        self._missed += len(missed) - before
        if self._missed > MAX_MISSED:
            slowest = max(self._slow, key=lambda one: len(self._slow[one]))
            log.warning("watcher cut: too slow", actor=str(slowest.session.id))
            slowest.end(Close.TOO_FAST, "too many changes are left unread")
            self.forget(slowest)

    def _recover(self) -> None:
        """Tell those who read again, one change each in turn."""
        self._recovery = None
        until = perf_counter() + TELLING
        while self._recovering and perf_counter() < until:
            peer = next(iter(self._recovering))
            del self._recovering[peer]
            missed = self._slow[peer]
            if peer.is_slow:
                continue  # it comes again when it has read
            if missed:
                self._missed -= 1
                _News([missed.take()]).tell(peer, self._sees())
            if missed:
                self._recovering[peer] = None
            else:
                del self._slow[peer]
        if self._recovering:
            self._recovery = asyncio.get_running_loop().call_soon(self._recover)


def _hears(peer: Peer, told: Told) -> bool:
    session = peer.session
    assert session.id is not None
    watches = session.watches
    return session.id.realm in told.realms and ("" in watches or _type_of(told) in watches)


def _type_of(told: Told) -> str:
    return told.entry.registration.id.actr_type
