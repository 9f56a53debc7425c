"""Sans-I/O: who may enter the mailbox, and who waits at its door (docs/mailbox.md).

A tenth of the room is kept for RPC_SIGNAL. Who finds no room waits, in order of arrival, and
has no acknowledgement: that is what pushes a sender back. Nothing is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import Enum, auto
from typing import Generic, Protocol, TypeVar

SIGNAL_SHARE = 10
"""One part in so many of the room is kept for RPC_SIGNAL."""


class Door(Enum):
    """What happens to one that arrives."""

    IN = auto()
    WAITS = auto()
    FULL = auto()
    """As many wait as may be inside; this one is turned away."""


_IN = Door.IN  # looking a member up costs five times as much


class Arriving(Protocol):
    """What asks to enter."""

    @property
    def is_signal(self) -> bool: ...

    @property
    def size(self) -> int:
        """Bytes it takes inside."""


Item = TypeVar("Item", bound=Arriving)


class Admission(Generic[Item]):
    """Messages and bytes inside, and those who wait.

    Args:
        capacity: Messages inside; as many of each priority may wait.
        max_bytes: Bytes inside.
    """

    def __init__(self, capacity: int, max_bytes: int) -> None:
        self.capacity = capacity
        self.max_bytes = max_bytes
        # Of normal messages, and of all with RPC_SIGNAL.
        self._capacities = (capacity - capacity // SIGNAL_SHARE, capacity)
        self._bounds = (max_bytes - max_bytes // SIGNAL_SHARE, max_bytes)
        self.messages = 0
        self.bytes = 0
        self.waiting = 0
        """Who waits at the door."""
        self._waiting: tuple[deque[Item], deque[Item]] = (deque(), deque())
        """Normal and signal."""

    def fits(self, size: int, *, is_signal: bool) -> bool:
        """Whether one of ``size`` bytes may be inside now.

        An empty mailbox takes any one message, or it could never be delivered.
        """
        return self.messages == 0 or (
            self.messages < self._capacities[is_signal]
            and self.bytes + size <= self._bounds[is_signal]
        )

    def enter(self, item: Item) -> Door:
        """One arrives: it is inside, or waits, or is turned away."""
        is_signal, size = item.is_signal, item.size
        waiting = self._waiting[is_signal]
        if not waiting and self.fits(size, is_signal=is_signal):
            self.messages += 1
            self.bytes += size
            return _IN
        if len(waiting) >= self.capacity:
            return Door.FULL
        waiting.append(item)
        self.waiting += 1
        return Door.WAITS

    def take(self, size: int) -> None:
        """One is inside, whatever the bounds say: a start found it there."""
        self.messages += 1
        self.bytes += size

    def leave(self, size: int) -> None:
        """One is outside again."""
        self.messages -= 1
        self.bytes -= size

    def admitted(self) -> Iterator[Item]:
        """Who waited and is inside now, signal first, each in order of arrival."""
        for waiting in reversed(self._waiting):
            while waiting and self.fits(waiting[0].size, is_signal=waiting[0].is_signal):
                item = waiting.popleft()
                self.waiting -= 1
                self.take(item.size)
                yield item

    def __repr__(self) -> str:
        return (
            f"Admission({self.messages}/{self.capacity} messages, "
            f"{self.bytes}/{self.max_bytes} bytes, {self.waiting} wait)"
        )
