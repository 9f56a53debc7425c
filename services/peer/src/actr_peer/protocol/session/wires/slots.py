"""Sans-I/O: which wires one link dials, replaces and gives up; one slot for each kind.

Every kind is dialled at once, every wire that opens is kept, and a working wire is never disturbed
to mend another. What dialling does to a slot is :data:`MOVES`; how well an open wire works is its
heartbeat's business and none of the slot's. The shell dials what :meth:`Slots.dials` says, and
tells how that ended. A relayed wire is the last resort: ``last_resort.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from math import inf

from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.wires.last_resort import LastResort, unneeded
from actr_peer.protocol.session.wires.policy import WireView, superfluous
from actr_peer.protocol.session.wires.slot_states import (
    DIALS_NOW,
    IS_DIALLING,
    MOVES,
    SlotEvent,
    SlotState,
)
from actr_peer.protocol.wire.backoff import doubled

MAX_TRIES = 3
"""Dials in a row before a kind is left alone."""
FIRST_DELAY = 1.0
LAST_DELAY = 10.0
"""Seconds between two tries, and a fifth more or less: who failed together comes back apart."""
MAX_WIRES = 8
"""Open wires of one kind: a far side that keeps dialling may leave dead ones behind."""
SETTLED = 5.0
"""Seconds after which a wire that breaks is not one that breaks as soon as it is made."""
FAR_SIDE_DIALS = 1.0
"""Seconds that a side which was dialled waits for the far side's wires of other kinds."""
LARGER_WAITS = 0.1
"""Seconds that the side with the larger id waits before it dials again: mostly the other does."""


_S, _E = SlotState, SlotEvent


@dataclass(slots=True)
class Slot:
    """One kind of wire."""

    kind: WireKind
    can_dial: bool
    state: SlotState
    tries: int = 0
    """Dials in a row that came to nothing, or to a wire that broke at once."""
    retry_at: float = 0.0
    """When to dial, WAITING only; seconds."""
    wires: set[int] = field(default_factory=set)
    """Ids of the open ones; a larger one is newer."""
    proved: dict[int, float] = field(default_factory=dict)
    """When the far side first answered on each of them."""
    has_failed: bool = False
    """Whether the last try came to nothing, or to a wire that broke at once."""
    replacing: int | None = None
    """Wires up to this id are closed once a newer one has proved itself."""

    def on(self, event: SlotEvent) -> None:
        """Take an event."""
        self.state = MOVES.get((self.state, event), self.state)

    @property
    def is_spent(self) -> bool:
        return not self.can_dial or self.tries >= MAX_TRIES

    @property
    def is_hoped_for(self) -> bool:
        """Whether a wire may yet come of a dial that is under way, or of the next one."""
        if self.state is SlotState.WAITING:  # after a loss, or for the far side to dial
            return not self.has_failed
        return self.state in (SlotState.IDLE, SlotState.DIALLING)


class Slots:
    """All kinds of wires of one link.

    Args:
        prefer: Kinds, best first.
        can_dial: Those of them that this side can dial; others are only accepted.
        is_smaller: Whether this side's id is the smaller one: it decides about duplicates.
    """

    def __init__(
        self, prefer: Sequence[WireKind], can_dial: Collection[WireKind], *, is_smaller: bool
    ) -> None:
        self._is_smaller = is_smaller
        self.by_kind = {  # in that order
            kind: Slot(kind, kind in can_dial, _S.IDLE if kind in can_dial else _S.SPENT)
            for kind in prefer
        }
        self._resort = LastResort()
        self.was_ready = False
        """Whether any wire has ever been greeted."""
        self.is_closed = False

    def dials(self, now: float) -> list[WireKind]:
        """What to dial now, and is being dialled after this."""
        kinds = []
        for slot in self.by_kind.values():
            if slot.kind is WireKind.RELAYED:
                self._look_at_others(slot, now)
            due = self._due(slot)
            if due <= now and due < inf:
                slot.on(_E.DIAL)
                kinds.append(slot.kind)
        return kinds

    def due(self) -> float:
        """When :meth:`dials` next has something to say; inf: not by time alone."""
        dues = map(self._due, self.by_kind.values())
        return min((due for due in dues if due > -inf), default=inf)

    def _due(self, slot: Slot) -> float:
        """When to dial this kind; inf: not by time alone."""
        if slot.state not in DIALS_NOW and slot.state is not _S.WAITING:
            return inf
        due = slot.retry_at if slot.state is _S.WAITING else -inf
        return max(due, self._resort.due) if slot.kind is WireKind.RELAYED else due

    def _look_at_others(self, relayed: Slot, now: float) -> None:
        others = [slot for slot in self.by_kind.values() if slot is not relayed]
        self._resort.look(
            now,
            is_needed=not any(slot.wires for slot in others),
            is_hoped_for=any(slot.is_hoped_for for slot in others),
        )

    @property
    def is_dead(self) -> bool:
        """Whether no wire is there, coming, or worth another dial: the link can go."""
        return all(slot.state is _S.SPENT for slot in self.by_kind.values())

    def surplus(self, wires: Sequence[WireView]) -> list[int]:
        """Of these wires, those that can be closed without loss, for a better one of their kind
        is there.

        Args:
            wires: All that the far side has greeted.
        """
        found = unneeded(wires, decides=self._is_smaller)
        for slot in self.by_kind.values():
            views = [view for view in wires if view.id in slot.wires]
            if len(views) < 2:
                continue
            mark = slot.replacing
            if mark is not None and any(v.id > mark and v.is_trusted for v in views):
                found += [view.id for view in views if view.id <= mark]
                slot.replacing = None
            else:
                found += superfluous(views, decides=self._is_smaller)
        return found

    def excess(self, kind: WireKind) -> list[int]:
        """What must go before one more wire of this kind is taken: those on which the far side
        has not answered first, then the oldest."""
        slot = self.by_kind[kind]
        wires = sorted(slot.wires, key=lambda wire: (wire in slot.proved, wire))
        return wires[: max(0, len(wires) + 1 - MAX_WIRES)]

    # How dials end

    def dialled(self, kind: WireKind) -> None:
        """A dial has ended well; its wire is told of by :meth:`opened`, if it can be used."""
        self.by_kind[kind].on(_E.DIALLED)

    def failed(self, kind: WireKind, now: float, dice: float, *, is_for_good: bool = False) -> None:
        """A dial has come to nothing.

        Args:
            kind: What was dialled.
            now: Seconds.
            dice: Random, 0 to 1: spreads the next dial.
            is_for_good: Another one would fail alike.
        """
        slot = self.by_kind[kind]
        slot.replacing = None
        self._count_failure(slot, now, dice)
        slot.tries = MAX_TRIES if is_for_good else slot.tries
        slot.on(_E.FAILED_LAST if slot.is_spent else _E.FAILED)

    @staticmethod
    def _count_failure(slot: Slot, now: float, dice: float) -> None:
        slot.tries += 1
        slot.has_failed = True
        delay = doubled(FIRST_DELAY, slot.tries, LAST_DELAY)
        slot.retry_at = now + delay * (0.8 + 0.4 * dice)

    # Wires that come and go

    def opened(self, kind: WireKind, wire: int) -> None:
        """A wire is open, whoever has dialled it."""
        slot = self.by_kind[kind]
        slot.wires.add(wire)
        slot.on(_E.OPENED)

    def greeted(self, kind: WireKind, wire: int, now: float) -> None:
        """The far side has answered on it: dialling this kind works."""
        slot = self.by_kind[kind]
        slot.proved.setdefault(wire, now)
        slot.tries = 0
        self.was_ready = True

    def gone(self, kind: WireKind, wire: int, now: float, dice: float) -> None:
        """A wire is gone, or not needed; ``now`` and ``dice`` as for :meth:`failed`."""
        slot = self.by_kind[kind]
        slot.wires.discard(wire)
        lived = now - slot.proved.pop(wire, now)
        if slot.wires:
            return
        if lived < SETTLED:  # it breaks as soon as it is made: not too fast
            self._count_failure(slot, now, dice)
        else:
            slot.has_failed = False
            slot.retry_at = now + (0.0 if self._is_smaller else LARGER_WAITS)
        slot.on(_E.LOST_LAST if slot.is_spent else _E.LOST)

    # What concerns all

    def defer(self, now: float) -> None:
        """The far side has begun to dial: leave it a moment before dialling what is missing."""
        for slot in self.by_kind.values():
            slot.retry_at = now + FAR_SIDE_DIALS
            slot.on(_E.DEFERRED)

    def refresh(self) -> None:
        """Some wire works: kinds that had used up their tries get new ones."""
        for slot in self.by_kind.values():
            if slot.can_dial and slot.tries >= MAX_TRIES and slot.state not in IS_DIALLING:
                slot.tries = 0
                slot.on(_E.RENEWED)

    def network_changed(self) -> list[int]:
        """New wires are to be made beside the present ones, then swapped; returns the present
        ones, which are in doubt."""
        doubtful: list[int] = []
        for slot in self.by_kind.values():
            if not slot.can_dial:
                continue
            slot.tries = 0
            slot.on(_E.MOVED)
            if slot.state in (_S.STALE, _S.DOUBLING):
                slot.replacing = max(slot.wires)
                doubtful += slot.wires
        return doubtful

    def close(self) -> None:
        """The link has ended."""
        self.is_closed = True
        for slot in self.by_kind.values():
            slot.on(_E.CLOSE)
