"""Sans-I/O: how fast the packets of a connection's tracks leave, and which of them goes first.

A large frame sent at once overruns the far side's socket, and takes the packets of all other
tracks down with it: so one budget is for all tracks of a connection. Sound is never made to wait
for pictures; packets that are sent again go before new ones, for a frame waits for them at the
far side; new frames go by their deadlines.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Final, Generic, TypeVar

BURST_BYTES: Final = 32 * 1024
OVERDRAFT_BYTES: Final = BURST_BYTES // 2
"""Spent ahead before anybody waits: no sleep is exact to the millisecond, and packets that leave
together cost less."""
MIN_RATE: Final = 500_000
SLOWER: Final = 0.7
"""By which the rate is multiplied when packets were lost, once in ``SLOWER_INTERVAL``."""
SLOWER_INTERVAL: Final = 0.02
FASTER: Final = 1.0
"""Part of itself by which the rate grows in a second."""
MAX_REPEATS: Final = 1024
"""Packets that wait to be sent again, over all tracks of a connection."""

T = TypeVar("T")
R = TypeVar("R", bound=Hashable)


class Budget:
    """Lets ``rate`` bytes go in a second, and ``BURST_BYTES`` at once; loss makes it slower.

    It owns no clock: the caller passes ``now``, in seconds of a clock that never goes back.

    Args:
        rate: Bytes a second, where nothing is lost.
    """

    def __init__(self, rate: int, *, now: float) -> None:
        self.max_rate = float(rate)
        self.rate = float(rate)
        self._credit = float(BURST_BYTES)
        self._floor = float(min(MIN_RATE, rate))
        self._at = self._slower_at = now

    @property
    def is_overdrawn(self) -> bool:
        """Whether who sends should look at the clock and wait."""
        return self._credit <= -OVERDRAFT_BYTES

    def charge(self, count: int) -> None:
        """``count`` bytes left."""
        self._credit -= count

    def wait(self, *, now: float) -> float:
        """Seconds until more may leave; 0 where it may now."""
        passed = min(max(0.0, now - self._at), 1.0)
        self._at = now
        self._credit = min(self._credit + passed * self.rate, BURST_BYTES)
        self.rate = min(self.max_rate, self.rate * (1 + passed * FASTER))
        return max(0.0, -self._credit / self.rate)

    def lost(self, *, now: float) -> None:
        """Packets were lost: the path, or the far side's processor, takes no more than this."""
        if now - self._slower_at > SLOWER_INTERVAL:
            self._slower_at = now
            self.rate = max(self._floor, self.rate * SLOWER)

    def estimated(self, bytes_per_second: float) -> None:
        """The far side has seen that the path carries so much: losses do not go below it."""
        self._floor = min(self.max_rate, max(MIN_RATE, bytes_per_second))
        self.rate = max(self.rate, self._floor)


class Queue(Generic[T, R]):
    """What waits for the budget: packets to repeat, in the order asked, then frames by deadline.

    Attributes:
        refused: Packets that were to be sent again while ``MAX_REPEATS`` waited already.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._repeats: dict[R, None] = {}
        self._frames: list[tuple[float, int, T]] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._repeats) + len(self._frames)

    def repeat(self, packet: R) -> None:
        """Have ``packet`` sent again, once, however often it is asked for meanwhile."""
        if packet not in self._repeats and len(self._repeats) >= MAX_REPEATS:
            self.refused += 1
        else:
            self._repeats.setdefault(packet)

    def next_repeat(self) -> R | None:
        """Take the packet that is sent again next; None where there is none."""
        packet = next(iter(self._repeats), None)
        if packet is not None:
            del self._repeats[packet]
        return packet

    def push(self, deadline: float, frame: T) -> None:
        """Have a frame wait; of two with one deadline the one that came first goes first."""
        heapq.heappush(self._frames, (deadline, next(self._numbers), frame))

    def pop(self) -> T | None:
        """Take the frame whose deadline is first; None where there is none."""
        return heapq.heappop(self._frames)[2] if self._frames else None


def deadline(size_bytes: int, rate: float, *, now: float) -> float:
    """When a frame that is ready now should have left: a small one is not kept by a large one.

    What comes later has a later deadline, so a large frame is passed by only so many small ones.
    """
    return now + size_bytes / rate
