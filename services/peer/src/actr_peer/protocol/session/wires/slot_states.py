"""Sans-I/O: where dialling one kind of wire stands, and where each event leads."""

from __future__ import annotations

from enum import Enum, auto


class SlotState(Enum):
    """Where dialling one kind of wire stands."""

    IDLE = auto()
    """No wire: dial now."""
    WAITING = auto()
    """No wire: dial when it is time."""
    SPENT = auto()
    """No wire, and not worth another dial for now; or this side cannot dial this kind."""
    DIALLING = auto()
    """No wire yet: one is being dialled."""
    OPEN = auto()
    """There are wires."""
    STALE = auto()
    """There are wires from before the network changed: dial now."""
    DOUBLING = auto()
    """There are wires, and one more is being dialled."""
    CLOSED = auto()
    """The link has ended: nothing is dialled any more."""


class SlotEvent(Enum):
    """What happens to one kind."""

    DIAL = auto()
    """A dial begins."""
    DIALLED = auto()
    """It ended well; ``OPENED`` follows if its wire can be used."""
    FAILED = auto()
    """It came to nothing, and will be tried again."""
    FAILED_LAST = auto()
    """It came to nothing, once too often."""
    OPENED = auto()
    """A wire is there, whoever dialled it."""
    LOST = auto()
    """The last wire has gone, and another will be tried."""
    LOST_LAST = auto()
    """The last wire has gone, and no other is worth a try."""
    DEFERRED = auto()
    """The far side has begun to dial: leave it a moment."""
    RENEWED = auto()
    """What was given up is worth a dial again."""
    MOVED = auto()
    """This side's network is another one."""
    CLOSE = auto()
    """The link has ended."""


_S, _E = SlotState, SlotEvent

MOVES: dict[tuple[SlotState, SlotEvent], SlotState] = {
    (_S.IDLE, _E.DIAL): _S.DIALLING,
    (_S.IDLE, _E.OPENED): _S.OPEN,
    (_S.IDLE, _E.DEFERRED): _S.WAITING,
    (_S.WAITING, _E.DIAL): _S.DIALLING,
    (_S.WAITING, _E.OPENED): _S.OPEN,
    (_S.WAITING, _E.RENEWED): _S.IDLE,
    (_S.WAITING, _E.MOVED): _S.IDLE,
    (_S.SPENT, _E.OPENED): _S.OPEN,
    (_S.SPENT, _E.RENEWED): _S.IDLE,
    (_S.SPENT, _E.MOVED): _S.IDLE,
    (_S.DIALLING, _E.DIALLED): _S.IDLE,
    (_S.DIALLING, _E.FAILED): _S.WAITING,
    (_S.DIALLING, _E.FAILED_LAST): _S.SPENT,
    (_S.DIALLING, _E.OPENED): _S.DOUBLING,
    (_S.OPEN, _E.LOST): _S.WAITING,
    (_S.OPEN, _E.LOST_LAST): _S.SPENT,
    (_S.OPEN, _E.MOVED): _S.STALE,
    (_S.STALE, _E.DIAL): _S.DOUBLING,
    (_S.STALE, _E.LOST): _S.WAITING,
    (_S.STALE, _E.LOST_LAST): _S.SPENT,
    (_S.DOUBLING, _E.DIALLED): _S.OPEN,
    (_S.DOUBLING, _E.FAILED): _S.OPEN,
    (_S.DOUBLING, _E.FAILED_LAST): _S.OPEN,
    (_S.DOUBLING, _E.LOST): _S.DIALLING,
    (_S.DOUBLING, _E.LOST_LAST): _S.DIALLING,
    **{(state, _E.CLOSE): _S.CLOSED for state in _S},
}
"""Where each event leads; one that is not here changes nothing."""

DIALS_NOW = frozenset({_S.IDLE, _S.STALE})
IS_DIALLING = frozenset({_S.DIALLING, _S.DOUBLING})
