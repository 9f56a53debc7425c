"""Sans-I/O: how many requests an address may make, and all of them together.

The arithmetic is that of GCRA (ITU-T I.371): of each address one number is kept, the time at which
its last request would have come at the even rate. How far that lies ahead is what it owes.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from actr_signaling.issuer.protocol.causes import Cause, RefusalError

MAX_ADDRESSES = 16_384


@dataclass(frozen=True, slots=True)
class Rate:
    """``per_second`` on average, ``burst`` at once."""

    per_second: float
    burst: float

    def ahead(self, due: float, now: float) -> float:
        """Seconds until one more is allowed, for who is ``due`` then; 0 or less: now."""
        return max(due, now) + (1 - self.burst) / self.per_second - now

    def next(self, due: float, now: float) -> float:
        return max(due, now) + 1 / self.per_second


class Rates:
    """Counts requests; owns no clock.

    Args:
        each: Of one address.
        all: Of all addresses together.
        max_addresses: Remembered; the one that was silent longest is forgotten first.
    """

    def __init__(self, each: Rate, all: Rate, *, max_addresses: int = MAX_ADDRESSES) -> None:
        self._each = each
        self._all = all
        self._max_addresses = max_addresses
        self._due: OrderedDict[str, float] = OrderedDict()
        self._due_all = 0.0

    def take(self, address: str, now: float) -> None:
        """Count one request in.

        Raises:
            RefusalError: If it is one too many; it says after how many seconds it would not be,
                and is not counted.
        """
        due = self._due.get(address, 0.0)
        wait = self._each.ahead(due, now)
        if wait > 0:
            raise _too_fast("this address makes too many requests", wait)
        wait = self._all.ahead(self._due_all, now)
        if wait > 0:
            raise _too_fast("the issuer has too many requests", wait)
        self._due_all = self._all.next(self._due_all, now)
        self._due.pop(address, None)
        self._due[address] = self._each.next(due, now)
        while len(self._due) > self._max_addresses:
            self._due.popitem(last=False)


def _too_fast(what: str, wait: float) -> RefusalError:
    return RefusalError(Cause.TOO_FAST, f"{what}: try again in {wait:.1f} s", retry_after=wait)
