"""Sans-I/O: room that remotes share: a count and bytes, for each of them and in all."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Who = TypeVar("Who", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Room:
    """So much, and no more."""

    count: int
    size: int
    """Bytes. One thing is always let in where nothing is, however long it is."""

    def has(self, count: int, size: int) -> bool:
        """Whether one more fits, with which there would be so much."""
        return count <= 1 or (count <= self.count and size <= self.size)


class Shares(Generic[Who]):
    """What is in, by whom; leaving gives it back.

    Args:
        each: Room of one remote.
        total: Room of all together.
    """

    def __init__(self, *, each: Room, total: Room) -> None:
        self._each = each
        self._total = total
        self._used: dict[Who, tuple[int, int]] = {}
        self.count = 0
        self.size = 0

    def enter(self, who: Who, size: int) -> bool:
        """Let something of ``size`` bytes in; False, and nothing changes, if it does not fit."""
        count, held = self._used.get(who, (0, 0))
        fits = self._each.has(count + 1, held + size)
        if not fits or not self._total.has(self.count + 1, self.size + size):
            return False
        self._used[who] = (count + 1, held + size)
        self.count += 1
        self.size += size
        return True

    def leave(self, who: Who, size: int) -> None:
        """What came in with ``size`` is out again."""
        count, held = self._used[who]
        if count == 1:
            del self._used[who]
        else:
            self._used[who] = (count - 1, held - size)
        self.count -= 1
        self.size -= size
