"""The wires of one link: dialled, kept, and given up.

What to do is decided in :mod:`actr_peer.protocol.session.wires.slots`; this dials and closes.
Dials are tasks of the transport, one per kind, so that one which hangs delays no other.
"""

from __future__ import annotations

import asyncio
import random
from asyncio import Future, Task
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeAlias

from actr_peer.errors import NoRelayError, PeerError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.budget import Budget
from actr_peer.protocol.session.session import Session
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.session.wires.slot_states import SlotState
from actr_peer.protocol.session.wires.slots import Slots
from actr_peer.tasks import Start
from actr_peer.wire.base import Wire

DIAL_SECONDS = 15.0
"""A dial that takes longer has failed; wires have their own, shorter, time-outs."""

DIALS_AT_ONCE = 16
"""Of one kind, in a process. A connection is milliseconds of work on either side: of a hundred that
are begun together none would be done before nearly all are, and their time-outs run meanwhile."""
TURN_SECONDS = 0.25
"""After which a dial has the network to wait for, and costs nothing: the next one begins."""

Dialer: TypeAlias = Callable[[ActrId], Awaitable[Wire]]


class Turns:
    """Whose dial is at work. The oldest and the newest of those who wait take it in turns, so that
    neither many before it nor many behind it hold one up for long."""

    def __init__(self) -> None:
        self._free = DIALS_AT_ONCE
        self._waiting: deque[Future[None]] = deque()
        self._is_newest_next = False

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it for the block or for ``TURN_SECONDS``, what is shorter."""
        loop = asyncio.get_running_loop()
        if self._free:
            self._free -= 1
        else:
            await self._wait(loop.create_future())
        held = [self]

        def end() -> None:
            if held:
                held.pop()._next()

        timer = loop.call_later(TURN_SECONDS, end)
        try:
            yield
        finally:
            timer.cancel()
            end()

    async def _wait(self, waiter: Future[None]) -> None:
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():  # it was its turn just now
                self._next()
            raise

    def _next(self) -> None:
        while self._waiting:
            waiter = self._waiting.pop() if self._is_newest_next else self._waiting.popleft()
            self._is_newest_next = not self._is_newest_next
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WireSetup:
    """How this process makes wires, and what it may hold for all of them."""

    self_id: ActrId
    dialers: Mapping[WireKind, Dialer]
    """What makes a wire, by kind; kinds without one are only accepted."""
    prefer: Sequence[WireKind]
    """Kinds, best first; others are not used."""
    start: Start
    budget: Budget
    """What all sessions together may hold for their far sides."""
    turns: Mapping[WireKind, Turns] = field(
        default_factory=lambda: {kind: Turns() for kind in WireKind}
    )
    """When a dial may begin."""


class PoolOwner(Protocol):
    """Hears from the pool."""

    def dialled(self, wire: Wire) -> None:
        """A dial has ended well."""

    def exhausted(self, why: str) -> None:
        """No wire is there or coming; ``why`` is what the last dial said."""

    def slot_changed(self, kind: WireKind) -> None:
        """The state of a kind may be another one."""

    def attend(self) -> None:
        """A dial has failed: mend, now or when it is time."""


class Pool:
    """Owned by one link; holds no wire that is not also known to the session.

    Args:
        session: Knows the state of open wires.
        setup: How to dial.
    """

    def __init__(
        self, remote: ActrId, session: Session, owner: PoolOwner, setup: WireSetup
    ) -> None:
        self._remote = remote
        self._session = session
        self._owner = owner
        self._setup = setup
        self.slots = Slots(
            setup.prefer,
            [kind for kind in setup.prefer if kind in setup.dialers],
            is_smaller=setup.self_id < remote,
        )
        self._wires: dict[int, Wire] = {}
        """The open ones by id."""
        self._dials: dict[WireKind, Task[None]] = {}
        self.why = ""
        """What the last dial or wire that failed said. Not the error: its traceback has the whole
        connection, and would keep it for as long as the link has another."""

    # What there is

    def state(self, kind: WireKind) -> WireState:
        """The best state among the wires of this kind, or how dialling stands."""
        slot = self.slots.by_kind[kind]
        ends = self._session.ends
        states = [ends[wire].state for wire in slot.wires if wire in ends]
        for state in (WireState.READY, WireState.SUSPECT, WireState.CONNECTING):
            if state in states:
                return state
        if slot.state in (SlotState.DIALLING, SlotState.DOUBLING):
            return WireState.CONNECTING
        return WireState.FAILED if slot.tries or not slot.can_dial else WireState.IDLE

    def wire(self, kind: WireKind) -> Wire | None:
        """The newest greeted wire of this kind, READY before SUSPECT."""
        if kind not in self.slots.by_kind:
            return None
        ends = self._session.ends
        greeted = [w for w in self.slots.by_kind[kind].wires if w in ends and ends[w].is_greeted]
        best = max(greeted, key=lambda w: (ends[w].state is WireState.READY, w), default=None)
        return None if best is None else self._wires[best]

    @property
    def is_dialling(self) -> bool:
        """Whether a dial is under way."""
        return bool(self._dials)

    # What to do

    def mend(self, now: float) -> None:
        """Dial what is not there; what is ready or coming is left alone. Twice is harmless."""
        if self.slots.is_dead:
            self._owner.exhausted(self.why)
        for kind in self.slots.dials(now):
            self._dials[kind] = self._setup.start(
                f"dial/{kind.value}",
                self._dial(kind),
                failed=partial(self._broke, kind),
            )
            self._owner.slot_changed(kind)

    async def _dial(self, kind: WireKind) -> None:
        try:
            # Who waits for the link has deadlines of its own, which run in a queue as elsewhere.
            async with self._setup.turns[kind].turn(), asyncio.timeout(DIAL_SECONDS):
                wire = await self._setup.dialers[kind](self._remote)
        except TimeoutError as error:
            self._failed(kind, PeerError(f"dialling took over {DIAL_SECONDS:g} s: {error!r}"))
        except PeerError as error:
            self._failed(kind, error)
        else:
            self._dials.pop(kind, None)
            self.slots.dialled(kind)
            if self.slots.is_closed:
                wire.abort()
            else:
                self._owner.dialled(wire)

    def _failed(self, kind: WireKind, error: PeerError) -> None:
        self._dials.pop(kind, None)
        is_for_good = isinstance(error, NoRelayError)
        if not is_for_good or not self.why:  # what the better kinds have said says more
            self.why = _text(error)
        self.slots.failed(kind, self._now(), _dice(), is_for_good=is_for_good)
        self._owner.attend()

    def _broke(self, kind: WireKind, exc: BaseException) -> None:
        self._failed(kind, PeerError(f"dialling failed: {exc!r}"))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def refresh(self, now: float) -> None:
        """Health round: if any wire works, kinds that had used up their tries get new ones."""
        if any(self.wire(kind) is not None for kind in self._setup.prefer):
            self.slots.refresh()
        self.mend(now)

    def replace(self, now: float) -> None:
        """The network has changed: make new wires beside the present ones, then swap."""
        for wire in self.slots.network_changed():
            self._session.doubt(wire, now)
        self.mend(now)

    # Wires that come and go

    def add(self, wire: Wire) -> None:
        """A wire is open and known to the session."""
        self._wires[wire.id] = wire
        self.slots.opened(wire.kind, wire.id)

    def greeted(self, wire: Wire) -> None:
        """The far side has answered on it."""
        self.slots.greeted(wire.kind, wire.id, self._now())

    def remove(self, wire: Wire, error: PeerError | None) -> None:
        """A wire is gone, or not needed."""
        if self._wires.pop(wire.id, None) is None:
            return
        self.slots.gone(wire.kind, wire.id, self._now(), _dice())
        if not self.slots.by_kind[wire.kind].wires:
            self.why = _text(error) if error is not None else self.why

    def surplus(self) -> list[Wire]:
        """Wires that can be closed without loss, for a better one of their kind is there."""
        views = [end.view for end in self._session.ends.values() if end.is_greeted]
        return [self._wires[wire] for wire in self.slots.surplus(views)]

    def excess(self, kind: WireKind) -> list[Wire]:
        """What must go before one more wire of this kind is taken."""
        return [self._wires[wire] for wire in self.slots.excess(kind)]

    def close(self) -> None:
        """Stop dialling; wires are the owner's to close."""
        self.slots.close()
        for dial in self._dials.values():
            dial.cancel()
        self._dials.clear()


def _dice() -> float:
    return random.random()  # noqa: S311  spreads load, hides nothing


def _text(error: PeerError) -> str:
    return error.why if isinstance(error, UnreachableError) else str(error)
