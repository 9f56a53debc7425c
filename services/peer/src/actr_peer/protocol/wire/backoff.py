"""Sans-I/O: how long to wait before another attempt; each failure doubles it, up to a bound."""

from __future__ import annotations

MAX_DOUBLINGS = 30
"""Of what is bounded anyway: 2.0**1024 does not fit a float."""


def doubled(first: float, failures: int, most: float) -> float:
    """Return the wait after so many failures in a row: ``first`` after one, ``most`` in the end."""
    return min(most, first * 2.0 ** min(max(0, failures - 1), MAX_DOUBLINGS))


class Backoff:
    """Seconds to wait before the next attempt: doubling, bounded, and spread by the dice.

    Args:
        first: Before the second attempt, seconds.
        most: Bound, seconds.
    """

    def __init__(self, *, first: float = 0.25, most: float = 5.0) -> None:
        self._first = first
        self._most = most
        self._failures = 0

    def failed(self, dice: float) -> float:
        """Return the wait after one more failure: between half and the whole of the step.

        Args:
            dice: Random, 0 to 1.
        """
        self._failures += 1
        return doubled(self._first, self._failures, self._most) * (0.5 + dice / 2)

    def succeeded(self) -> None:
        self._failures = 0
