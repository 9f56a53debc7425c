"""Sans-I/O: which of the open wires to one remote new frames take, and which can be closed.

What is dialled is decided in :mod:`actr_peer.protocol.session.wires.slots`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from math import inf

from actr_peer.protocol.payload import WireKind


class WireState(Enum):
    """Where one kind of wire to one remote stands."""

    IDLE = auto()
    """Not dialled."""
    CONNECTING = auto()
    """Dialled, or open and not yet greeted by the far side."""
    READY = auto()
    SUSPECT = auto()
    """Open, and its heartbeat is missing: not preferred."""
    FAILED = auto()
    """Dialling failed, or the wire died."""


@dataclass(frozen=True, slots=True)
class WireView:
    """What the policy may know of one open wire that the far side has greeted."""

    id: int
    """Larger is newer."""
    kind: WireKind
    state: WireState
    is_trusted: bool = False
    """Several good heartbeats in a row."""
    was_dialled: bool = True
    """By this side."""
    opened_at: float = 0.0
    proved_at: float = inf
    """When it was first trusted."""
    is_answering: bool = True
    """Whether its last ping was answered: a SUSPECT one recovers."""


def best(
    wires: Iterable[WireView], prefer: Sequence[WireKind], current: int | None = None
) -> int | None:
    """The wire that new frames should take, or None if there is none.

    The one in use stays while it is READY, until a preferred one has proved itself. When all
    are SUSPECT, the best of them is used anyway, one that recovers before one that does not.

    Args:
        wires: Open wires.
        prefer: Kinds, best first.
        current: Id of the wire in use.
    """
    usable = [wire for wire in wires if wire.state is WireState.READY]
    if not usable:
        suspect = [wire for wire in wires if wire.state is WireState.SUSPECT]
        usable = [wire for wire in suspect if wire.is_answering] or suspect

    def rank(wire: WireView) -> tuple[int, int]:
        return prefer.index(wire.kind) if wire.kind in prefer else len(prefer), -wire.id

    usable.sort(key=rank)
    in_use = next((wire for wire in usable if wire.id == current), None)
    if in_use is None:
        return usable[0].id if usable else None
    for wire in usable:  # pragma: no branch - it has the one in use
        if wire is in_use or wire.is_trusted:
            break
    return wire.id


def superfluous(wires: Sequence[WireView], *, decides: bool) -> list[int]:
    """Ids of wires of one kind that can be closed; nothing is lost by it.

    One side decides, so that the two never close different ones: the smaller ``ActrId``. The
    other closes only what it has replaced itself, after its network has changed.
    Of two that were dialled at the same time, before either had proved itself, the one that the
    deciding side dialled is kept; otherwise the newer replaces the older. The one to keep must
    have proved itself.

    Args:
        wires: Open wires of one kind.
        decides: Whether this side has the smaller ``ActrId``.
    """
    if not decides or len(wires) < 2:
        return []
    newest = max(wires, key=lambda wire: wire.id)
    keep = newest
    if not newest.was_dialled:
        own = [w for w in wires if w.was_dialled and newest.opened_at < w.proved_at]
        keep = max(own, key=lambda wire: wire.id, default=newest)
    if keep.state is not WireState.READY or not keep.is_trusted:
        return []
    return [wire.id for wire in wires if wire is not keep]
