"""Sans-I/O: what each remote owes the outbox, and how much more it may be asked.

A remote that never answers must not keep calls to others from being made. So each has its own
low-water mark, the smallest number of this run whose reply is not on the caller's disk, and its own
bounds; and what all owe together is shared so that each newcomer finds room: a remote may owe no
more than what is left for all.
"""

from __future__ import annotations

from collections import deque

MAX_OPEN = 1024
"""Calls to one remote without a saved reply; more wait for room."""
MAX_WINDOW = 4096
"""Calls to one remote from its low-water mark on: what it may have to remember."""
MAX_OPEN_IN_ALL = 16 * MAX_OPEN
"""Calls without a saved reply, to all remotes."""


class _Line:
    """One remote's calls.

    Attributes:
        numbers: Of this run, from the low-water mark on.
        done: Those of them whose reply is saved.
    """

    __slots__ = ("bytes", "done", "numbers", "open")

    def __init__(self) -> None:
        self.numbers: deque[int] = deque()
        self.done: set[int] = set()
        self.open = 0
        self.bytes = 0


class Owed:
    """Calls without a saved reply.

    Args:
        max_open: To one remote.
        max_window: To one remote, between the low-water mark and the newest.
        max_in_all: To all remotes.
        max_bytes: Of envelopes, to all remotes.
    """

    def __init__(
        self,
        *,
        max_open: int = MAX_OPEN,
        max_window: int = MAX_WINDOW,
        max_in_all: int = MAX_OPEN_IN_ALL,
        max_bytes: int = 1 << 62,
    ) -> None:
        self._max_open = max_open
        self._max_window = max_window
        self._max_in_all = max_in_all
        self._max_bytes = max_bytes
        self._lines: dict[str, _Line] = {}
        self._open: dict[int, tuple[str, int]] = {}
        """Remote and bytes of each number."""
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._open)

    def is_full(self, remote: str) -> bool:
        """Whether only what ``remote`` itself gives back can make room for it."""
        line = self._lines.get(remote)
        return line is not None and (
            line.open >= self._max_open or len(line.numbers) >= self._max_window
        )

    def has_room(self, remote: str, size: int) -> bool:
        """Whether another call, of ``size`` bytes, may be made to ``remote`` now."""
        line = self._lines.get(remote)
        left = self._max_in_all - len(self._open)
        if line is None:  # nothing is owed: any one call may be made
            return left > 0
        return (
            not self.is_full(remote)
            and line.open < left
            and line.bytes + size <= self._max_bytes - self._bytes
        )

    def add(self, remote: str, number: int, size: int, *, is_earlier: bool = False) -> None:
        """A call is made.

        Args:
            is_earlier: In an earlier run, whose numbers are under another store id: it has no part
                in the mark.
        """
        line = self._lines.get(remote)
        if line is None:
            line = self._lines[remote] = _Line()
        self._open[number] = (remote, size)
        self._bytes += size
        line.open += 1
        line.bytes += size
        if not is_earlier:
            line.numbers.append(number)

    def done(self, number: int) -> str | None:
        """The reply is saved, or the call was taken back; returns whose it was, None if known."""
        remote, size = self._open.pop(number, (None, 0))
        if remote is None:
            return None
        line = self._lines[remote]
        self._bytes -= size
        line.open -= 1
        line.bytes -= size
        if not line.open:
            del self._lines[remote]  # with what is left: all of it is done
            return remote
        line.done.add(number)
        numbers, done = line.numbers, line.done
        while numbers and numbers[0] in done:
            done.remove(numbers.popleft())
        if not numbers:
            done.clear()
        return remote

    def low_water(self, remote: str, following: int) -> int:
        """The smallest number owed; ``following``, the next to be given, if all are done."""
        line = self._lines.get(remote)
        return line.numbers[0] if line is not None and line.numbers else following
