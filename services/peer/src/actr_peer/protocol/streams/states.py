"""Sans-I/O: where a half of a stream is, and what moves it: one table.

What the table does not hold changes nothing: it is word that comes late.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType


class Side(Enum):
    """Which half it is."""

    WRITER = auto()
    READER = auto()


class State(Enum):
    """Where a half is."""

    WAITING = auto()
    """The reader has not said yet that it listens: nothing may be sent."""
    OPEN = auto()
    HALF_CLOSED = auto()
    """The writer has ended it; the end, or items before it, are still on their way."""
    ENDED = auto()
    FAILED = auto()
    """The far side, the network, or a broken rule took it away."""


class Input(Enum):
    """What moves a half."""

    GRANT = auto()
    END = auto()
    DRAINED = auto()
    """The end has come and all items before it were taken."""
    CLOSE = auto()
    """The reader takes no more."""
    FAIL = auto()
    """An error of the far half, a cancel, a reset, or a broken rule."""


OVER = frozenset({State.ENDED, State.FAILED})
_LIVE = (State.WAITING, State.OPEN, State.HALF_CLOSED)

TABLE: Mapping[tuple[Side, State, Input], State] = MappingProxyType(
    {
        (Side.WRITER, State.WAITING, Input.GRANT): State.OPEN,
        (Side.WRITER, State.OPEN, Input.GRANT): State.OPEN,
        (Side.WRITER, State.WAITING, Input.END): State.HALF_CLOSED,
        (Side.WRITER, State.HALF_CLOSED, Input.GRANT): State.ENDED,
        (Side.WRITER, State.OPEN, Input.END): State.ENDED,
        (Side.READER, State.WAITING, Input.GRANT): State.OPEN,
        (Side.READER, State.OPEN, Input.GRANT): State.OPEN,
        (Side.READER, State.OPEN, Input.END): State.HALF_CLOSED,
        (Side.READER, State.HALF_CLOSED, Input.DRAINED): State.ENDED,
        **{(Side.READER, state, Input.CLOSE): State.ENDED for state in _LIVE},
        **{(side, state, Input.FAIL): State.FAILED for side in Side for state in _LIVE},
    }
)
