"""Sans-I/O: how old a latency-first item is, by two clocks that agree on nothing but their pace.

The writer says by its own clock when it took each item. The reader subtracts that from when the
item came by its own: the result is the difference of the clocks and the item's way. The least of
the last seconds is that of an item which waited nowhere, so what another has above it is time that
it has lost: in a queue, on a crowded path, or before a process that stood still.

The first item of a process counts as fresh, for there is nothing to compare it with. A way that
becomes longer for good makes items look old until the lesser differences are forgotten, after two
spans at most. Clocks drift: an old difference is trusted less, by :data:`DRIFT`.
"""

from __future__ import annotations

from math import inf

LIFETIME = 0.1
"""Seconds after which an item is not worth handing over; as long as it may wait for its sending."""
SPAN = 5.0
"""Seconds over which the least difference is sought: this span and the one before it count."""
DRIFT = 0.0002
"""Seconds by which two clocks part in one, at most."""
MICROSECONDS = 1e6


class Clock:
    """The clock of one remote process, as its latency-first items show it."""

    __slots__ = ("_before", "_before_at", "_began_at", "_least")

    def __init__(self) -> None:
        self._least = inf
        """The least difference of this span."""
        self._began_at = -inf
        self._before = inf
        """That of the span before."""
        self._before_at = 0.0

    def sent_at(self, stamp: int, now: float) -> float:
        """When an item was taken by its writer, by the clock here.

        Args:
            stamp: Microseconds of the writer's clock.
            now: When the item came, seconds.
        """
        difference = now - stamp / MICROSECONDS
        if now - self._began_at > SPAN:
            self._before, self._before_at = self._least, self._began_at + SPAN
            self._least, self._began_at = difference, now
        elif difference < self._least:
            self._least = difference
        trusted = self._before + max(now - self._before_at, 0.0) * DRIFT
        return now - (difference - min(self._least, trusted))
