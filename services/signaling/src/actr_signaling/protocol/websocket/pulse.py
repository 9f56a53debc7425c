"""Sans-I/O: whether the far side of a connection is there, though it says nothing."""

from __future__ import annotations

from enum import Enum, auto

PING_SECONDS = 10.0
"""Of silence to a ping, and then to the end: what a proxy in between would hide."""


class Felt(Enum):
    """What is to be done when a pulse was felt."""

    NOTHING = auto()
    ASK = auto()
    """Send a ping."""
    END = auto()
    """It was asked, and has not answered."""


class Pulse:
    """Of one connection. It owns no clock: the caller passes ``now``, and feels it when it is due.

    Attributes:
        heard_at: When it said something last.
    """

    __slots__ = ("_asked_at", "_unsent", "heard_at")

    def __init__(self, now: float) -> None:
        self.heard_at = now
        self._asked_at = float("-inf")
        self._unsent = 0

    @property
    def due(self) -> float:
        """When to feel it next; what is heard puts it off."""
        return max(self.heard_at, self._asked_at) + PING_SECONDS

    def feel(self, now: float, unsent: int) -> Felt:
        """
        Args:
            unsent: Bytes for it that wait. Of one that lags behind them nothing is heard; where
                they are fewer than before it reads, and is there.
        """
        before, self._unsent = self._unsent, unsent
        if unsent < before:
            self.heard_at = now
        if now < self.due:
            return Felt.NOTHING
        if self._asked_at >= self.heard_at:
            return Felt.END
        self._asked_at = now
        return Felt.ASK
