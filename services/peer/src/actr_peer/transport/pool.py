"""The wires of one link: dialled all at once, kept, mended, given up.

What to do is decided in :mod:`actr_peer.protocol.session.wire_policy`; this does it. Dials are
tasks of the transport, one per kind, so that one which hangs delays no other.
"""

from __future__ import annotations

import asyncio
import random
from asyncio import Task
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Protocol, TypeAlias

from actr_peer.errors import PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.session import Session
from actr_peer.protocol.session.wire_policy import (
    MAX_TRIES,
    Dial,
    GiveUp,
    SlotView,
    WireState,
    plan,
    retry_delay,
    superfluous,
)
from actr_peer.tasks import Start
from actr_peer.wire.base import Wire

DIAL_SECONDS = 15.0
"""A dial that takes longer has failed; wires have their own, shorter, time-outs."""
MAX_WIRES = 8
"""Open wires of one kind: a far side that keeps dialling may leave dead ones behind."""
SETTLED = 5.0
"""Seconds after which a wire that breaks is not one that breaks as soon as it is made."""
FAR_SIDE_DIALS = 1.0
"""Seconds that a side which was dialled waits for the far side's wires of other kinds."""
LARGER_WAITS = 0.1
"""Seconds that the side with the larger id waits before it dials again: mostly the other does."""

Dialer: TypeAlias = Callable[[ActrId], Awaitable[Wire]]


class PoolOwner(Protocol):
    """Hears from the pool."""

    def dialled(self, wire: Wire) -> None:
        """A dial has ended well."""

    def exhausted(self, error: PeerError | None) -> None:
        """No wire is there or coming; ``error`` is what the last dial said."""

    def slot_changed(self, kind: WireKind) -> None:
        """The state of a kind may be another one."""

    def attend(self) -> None:
        """A dial has failed: mend, now or when it is time."""


@dataclass(slots=True)
class Slot:
    """One kind of wire."""

    kind: WireKind
    dialer: Dialer | None
    tries: int = 0
    retry_at: float = 0.0
    dial: Task[None] | None = None
    wires: dict[int, Wire] = field(default_factory=dict)
    """Open ones by id, oldest first."""
    proved: dict[int, float] = field(default_factory=dict)
    """When the far side first answered on each of them."""
    replacing: int | None = None
    """Wires up to this id are closed once a newer one has proved itself."""


class Pool:
    """Owned by one link; holds no wire that is not also known to the session.

    Args:
        session: Knows the state of open wires.
        dialers: What makes a wire, by kind; kinds without one are only accepted.
        prefer: Kinds, best first.
        start: Starts a dial as a task.
        is_smaller: Whether this side's id is the smaller one: it decides about duplicates.
    """

    def __init__(
        self,
        remote: ActrId,
        session: Session,
        owner: PoolOwner,
        *,
        dialers: Mapping[WireKind, Dialer],
        prefer: Sequence[WireKind],
        start: Start,
        is_smaller: bool,
    ) -> None:
        self._remote = remote
        self._session = session
        self._owner = owner
        self._start = start
        self._is_smaller = is_smaller
        self.slots = {kind: Slot(kind, dialers.get(kind)) for kind in prefer}
        self.was_ready = False
        """Whether any wire has ever been greeted."""
        self._last_error: PeerError | None = None
        self._is_closed = False

    # What there is

    def state(self, kind: WireKind) -> WireState:
        """The best state among the wires of this kind, or how dialling stands."""
        slot = self.slots[kind]
        states = [self._session.ends[w].state for w in slot.wires if w in self._session.ends]
        for state in (WireState.READY, WireState.SUSPECT, WireState.CONNECTING):
            if state in states:
                return state
        if slot.dial is not None:
            return WireState.CONNECTING
        return WireState.FAILED if slot.tries or slot.dialer is None else WireState.IDLE

    def wire(self, kind: WireKind) -> Wire | None:
        """The newest greeted wire of this kind, READY before SUSPECT."""
        slot = self.slots.get(kind)
        if slot is None:
            return None
        ends = self._session.ends
        greeted = [w for w in slot.wires.values() if w.id in ends and ends[w.id].is_greeted]
        greeted.sort(key=lambda w: (ends[w.id].state is WireState.READY, w.id))
        return greeted[-1] if greeted else None

    def due(self) -> float:
        """When :meth:`mend` is next needed; inf: not by itself."""
        if self._is_closed:
            return inf
        waiting = [
            slot.retry_at
            for slot in self.slots.values()
            if self.state(slot.kind) in (WireState.FAILED, WireState.IDLE)
            and slot.dialer is not None
            and slot.tries < MAX_TRIES
        ]
        return min(waiting, default=inf)

    # What to do

    def mend(self, now: float) -> None:
        """Dial what is not there; what is ready or coming is left alone. Twice is harmless."""
        if self._is_closed:
            return
        views = [self._view(slot) for slot in self.slots.values()]
        for step in plan(views, now=now):
            match step:
                case Dial(kind):
                    self._dial(self.slots[kind])
                case GiveUp():
                    self._owner.exhausted(self._last_error)

    def _view(self, slot: Slot) -> SlotView:
        state = self.state(slot.kind)
        if slot.dialer is None:
            return SlotView(slot.kind, state, MAX_TRIES, inf)
        if state is WireState.IDLE and slot.retry_at:
            state = WireState.FAILED  # it was lost a moment ago: wait for retry_at
        return SlotView(slot.kind, state, slot.tries, slot.retry_at)

    def defer(self, now: float) -> None:
        """The far side has begun to dial: leave it a moment before dialling what is missing."""
        for slot in self.slots.values():
            slot.retry_at = now + FAR_SIDE_DIALS

    def refresh(self, now: float) -> None:
        """Health round: if any wire works, kinds that had used up their tries get new ones."""
        works = any(self.wire(kind) is not None for kind in self.slots)
        for slot in self.slots.values():
            if works and slot.tries >= MAX_TRIES and slot.dial is None:
                slot.tries = 0
                slot.retry_at = 0.0
        self.mend(now)

    @property
    def is_dead(self) -> bool:
        """Whether no wire is there, coming, or worth another dial."""
        return plan([self._view(s) for s in self.slots.values()], now=inf) == [GiveUp()]

    def replace(self, now: float) -> None:
        """The network has changed: make new wires beside the present ones, then swap."""
        if self._is_closed:
            return
        for slot in self.slots.values():
            slot.tries = 0
            slot.retry_at = 0.0
            if slot.wires and slot.dialer is not None:
                slot.replacing = max(slot.wires)
                for wire in slot.wires:
                    self._session.doubt(wire, now)
                if slot.dial is None:
                    self._dial(slot)
        self.mend(now)

    def _dial(self, slot: Slot) -> None:
        assert slot.dialer is not None
        slot.dial = self._start(
            f"dial/{slot.kind.value}",
            self._make(slot, slot.dialer),
            failed=lambda exc: self._failed(slot, PeerError(f"dialling failed: {exc!r}")),
        )
        self._owner.slot_changed(slot.kind)

    async def _make(self, slot: Slot, dialer: Dialer) -> None:
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                wire = await dialer(self._remote)
        except TimeoutError as error:
            self._failed(slot, PeerError(f"dialling took over {DIAL_SECONDS:g} s: {error!r}"))
        except PeerError as error:
            self._failed(slot, error)
        else:
            slot.dial = None
            if self._is_closed:
                wire.abort()
            else:
                self._owner.dialled(wire)

    def _failed(self, slot: Slot, error: PeerError) -> None:
        slot.dial = None
        slot.replacing = None
        self._last_error = error
        self._count_failure(slot)
        self._owner.attend()

    def _count_failure(self, slot: Slot) -> None:
        slot.tries += 1
        jitter = 0.8 + 0.4 * random.random()  # noqa: S311  spreads load, hides nothing
        slot.retry_at = self._now() + retry_delay(slot.tries) * jitter

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    # Wires that come and go

    def add(self, wire: Wire) -> None:
        """A wire is open and known to the session."""
        self.slots[wire.kind].wires[wire.id] = wire

    def greeted(self, wire: Wire) -> None:
        """The far side has answered on it: dialling this kind works."""
        slot = self.slots[wire.kind]
        slot.proved.setdefault(wire.id, self._now())
        slot.tries = 0
        slot.retry_at = 0.0
        self.was_ready = True

    def remove(self, wire: Wire, error: PeerError | None) -> None:
        """A wire is gone, or not needed."""
        slot = self.slots[wire.kind]
        if slot.wires.pop(wire.id, None) is None:
            return
        now = self._now()
        lived = now - slot.proved.pop(wire.id, now)
        if slot.wires:
            return
        self._last_error = error or self._last_error
        if lived < SETTLED:  # it breaks as soon as it is made: not too fast
            self._count_failure(slot)
        else:
            slot.retry_at = now + (0.0 if self._is_smaller else LARGER_WAITS)

    def surplus(self) -> list[Wire]:
        """Wires that can be closed without loss, for a better one of their kind is there."""
        found: list[Wire] = []
        for slot in self.slots.values():
            ends = self._session.ends
            views = [ends[w].view for w in slot.wires if w in ends and ends[w].is_greeted]
            if len(views) < 2:
                continue
            ids = superfluous(views, decides=self._is_smaller)
            if slot.replacing is not None and any(
                v.id > slot.replacing and v.is_trusted for v in views
            ):
                ids = [v.id for v in views if v.id <= slot.replacing]
                slot.replacing = None
            found += [slot.wires[wire] for wire in ids]
        return found

    def excess(self, kind: WireKind) -> list[Wire]:
        """What must go before one more wire of this kind is taken: those on which the far side
        has not answered first, then the oldest."""
        slot = self.slots[kind]
        wires = sorted(slot.wires.values(), key=lambda wire: (wire.id in slot.proved, wire.id))
        return wires[: max(0, len(wires) + 1 - MAX_WIRES)]

    def close(self) -> None:
        """Stop dialling; wires are the owner's to close."""
        self._is_closed = True
        for slot in self.slots.values():
            if slot.dial is not None:
                slot.dial.cancel()
                slot.dial = None
