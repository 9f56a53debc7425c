"""How fast one track's packets leave: a large frame sent at once overruns the far side's socket."""

from __future__ import annotations

import asyncio
import time

BURST_BYTES = 32 * 1024
MIN_RATE = 500_000
SLOWER = 0.7
"""By which the rate is multiplied when packets were lost, once in ``SLOWER_INTERVAL``."""
SLOWER_INTERVAL = 0.02
FASTER = 1.0
"""Part of itself by which the rate grows in a second."""


class Pace:
    """Lets ``rate`` bytes go in a second, and ``BURST_BYTES`` at once; loss makes it slower.

    Args:
        rate: Bytes a second, where nothing is lost.
    """

    def __init__(self, rate: int) -> None:
        self.max_rate = rate
        self.rate = float(rate)
        self._credit = float(BURST_BYTES)
        self._at = self._slower_at = time.monotonic()

    async def spend(self, count: int) -> bool:
        """Take ``count`` bytes, waiting where that is too fast; True if it waited."""
        self.charge(count)
        if self._credit > -BURST_BYTES / 4:  # sleeping for less than a millisecond is not exact
            return False
        self._refill()
        if self._credit > 0:
            return False
        await asyncio.sleep(-self._credit / self.rate)
        self._refill()
        return True

    def charge(self, count: int) -> None:
        """Take ``count`` bytes now; who spends next waits for them."""
        self._credit -= count

    def may_repeat(self) -> bool:
        """Whether something may be sent beside what is paced: not when a tenth of a second is
        spent ahead already."""
        self._refill()
        return self._credit > -self.rate / 10

    def lost(self) -> None:
        """Packets were lost: the path, or the far side's processor, takes no more than this."""
        now = time.monotonic()
        if now - self._slower_at > SLOWER_INTERVAL:
            self._slower_at = now
            self.rate = max(MIN_RATE, self.rate * SLOWER)

    def _refill(self) -> None:
        now = time.monotonic()
        passed = min(now - self._at, 1.0)
        self._at = now
        self._credit = min(self._credit + passed * self.rate, BURST_BYTES)
        self.rate = min(self.max_rate, self.rate * (1 + passed * FASTER))
