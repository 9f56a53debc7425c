"""Sans-I/O: when the timestamps of one track were, by one clock for all tracks of a sender.

A sample is seen some time after it was taken: an encoder, a busy machine, a wait. What was seen
soonest is nearest to the truth, so the least delay of the last seconds counts (RFC 3550, 6.4.1:
the pair of a sender's report puts its tracks in step).
"""

from __future__ import annotations

from typing import Final

from actr_peer.protocol.media.frames import TIMESTAMPS

WINDOW_SECONDS: Final = 2.0
"""After which a delay that does not shrink again is believed: the track's time has moved."""
GAP_SECONDS: Final = 1.0
"""A delay that grows by more at once is a hole in the track: believed immediately."""


class CaptureClock:
    """Maps timestamps of one track to seconds.

    Args:
        clock_rate: Ticks of the timestamps in a second.
    """

    def __init__(self, clock_rate: int) -> None:
        self.clock_rate = clock_rate
        self._last = 0
        self._ticks = 0
        """Of the last timestamp, counted on from the first."""
        self._least: float | None = None
        """Seconds at tick 0, by the soonest sample of this window; and of the one before."""
        self._before = 0.0
        self._since = 0.0

    def note(self, timestamp: int, at: float) -> None:
        """A sample with ``timestamp`` was taken at ``at`` seconds, or somewhat before."""
        if self._least is not None:
            self._ticks += _signed(timestamp - self._last)
        self._last = timestamp
        zero = at - self._ticks / self.clock_rate
        if self._least is None or zero - min(self._least, self._before) > GAP_SECONDS:
            self._least = self._before = zero
            self._since = at
        elif at - self._since > WINDOW_SECONDS:
            self._before, self._least, self._since = self._least, zero, at
        else:
            self._least = min(self._least, zero)

    def when(self, timestamp: int) -> float | None:
        """When ``timestamp`` was, in the seconds of :meth:`note`; None: nothing was noted."""
        if self._least is None:
            return None
        ticks = self._ticks + _signed(timestamp - self._last)
        return min(self._least, self._before) + ticks / self.clock_rate


def _signed(ticks: int) -> int:
    return (ticks + TIMESTAMPS // 2) % TIMESTAMPS - TIMESTAMPS // 2
