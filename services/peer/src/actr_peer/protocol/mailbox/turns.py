"""Sans-I/O: whose turn it is.

Two priorities, and within them the order of arrival. Items without a conflict key run alone,
as actors do; items with one run beside those of other keys, and in order with those of the
same. An item without a key is a barrier: what came before it ends first, what comes after
waits, so that one caller's requests keep their order.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

MAX_CONCURRENT = 8
"""Items that run side by side."""
MAX_SIGNALS_IN_ROW = 8
"""Signal items taken one after another while a normal one waits."""


class Turnable(Protocol):
    """What can wait for a turn."""

    @property
    def is_signal(self) -> bool: ...

    @property
    def conflict_key(self) -> str | None: ...


Item = TypeVar("Item", bound=Turnable)


class Priorities(Generic[Item]):
    """Two queues, signal first; at most :data:`MAX_SIGNALS_IN_ROW` while a normal one waits.

    Its bound is the mailbox's capacity: whatever waits here was admitted there.
    """

    __slots__ = ("_in_row", "_normal", "_signal")

    def __init__(self) -> None:
        self._signal: deque[Item] = deque()
        self._normal: deque[Item] = deque()
        self._in_row = 0

    def add(self, item: Item) -> None:
        (self._signal if item.is_signal else self._normal).append(item)

    def peek(self) -> Item | None:
        """The item that :meth:`take` would return, or None if nothing waits."""
        signal, normal = self._signal, self._normal
        if signal and not (normal and self._in_row >= MAX_SIGNALS_IN_ROW):
            return signal[0]
        return normal[0] if normal else None

    def take(self) -> Item:
        """The next item, taken out.

        Raises:
            IndexError: If nothing waits.
        """
        signal, normal = self._signal, self._normal
        if not signal:
            self._in_row = 0
            return normal.popleft()
        if not normal:
            self._in_row = 0
            return signal.popleft()
        if self._in_row >= MAX_SIGNALS_IN_ROW:
            self._in_row = 0
            return normal.popleft()
        self._in_row += 1
        return signal.popleft()

    def remove(self, item: Item) -> bool:
        """Take one item out of turn; False if it does not wait here."""
        try:
            (self._signal if item.is_signal else self._normal).remove(item)
        except ValueError:
            return False
        return True

    def __len__(self) -> int:
        return len(self._signal) + len(self._normal)


class Turns(Generic[Item]):
    """What waits and what runs; says what may start.

    The caller starts what :meth:`take` returns and calls :meth:`finish` when it has ended.
    """

    def __init__(self, max_concurrent: int = MAX_CONCURRENT) -> None:
        self._max_concurrent = max_concurrent
        self._waiting: Priorities[Item] = Priorities()
        self._parked: dict[str, Priorities[Item]] = {}
        """Behind a running item of the same key; a key is here exactly while it is busy."""
        self._parked_count = 0
        self._freed: deque[str] = deque()
        """Keys whose item ended and behind which others are parked."""
        self._active = 0
        self._alone: Item | None = None
        """Runs while nothing else may."""
        self._insisting: deque[Item] = deque()
        """Run, so to speak, and want to run again with nothing beside them."""

    def add(self, item: Item) -> None:
        self._waiting.add(item)

    def take(self) -> Item | None:
        """The item that must start now, or None if nothing may."""
        if self._alone is not None:
            return None
        if self._insisting:
            if self._active > len(self._insisting):
                return None
            self._alone = self._insisting.popleft()
            return self._alone
        if self._active >= self._max_concurrent:
            return None
        if self._freed:
            return self._start_parked(self._freed.popleft())
        waiting = self._waiting
        while (item := waiting.peek()) is not None:
            key = item.conflict_key
            if key is None:
                if self._active or self._parked_count:
                    return None
                self._alone = item
            elif key in self._parked:
                self._parked[key].add(waiting.take())
                self._parked_count += 1
                continue
            else:
                self._parked[key] = Priorities()
            self._active += 1
            return waiting.take()
        return None

    def _start_parked(self, key: str) -> Item:
        self._parked_count -= 1
        self._active += 1
        return self._parked[key].take()

    def finish(self, item: Item) -> None:
        """An item that :meth:`take` returned has ended."""
        self._active -= 1
        if self._alone is item:
            self._alone = None
        key = item.conflict_key
        if key is None:
            return
        if self._parked[key]:
            self._freed.append(key)
        else:
            del self._parked[key]

    def insist(self, item: Item) -> None:
        """Let an item that runs start once more, when nothing else runs; it keeps its key."""
        if self._alone is item:
            self._alone = None
        self._insisting.append(item)

    def relent(self, item: Item) -> None:
        """An item that insists does so no more, whether or not it was taken for it; then it is to
        be finished."""
        if item in self._insisting:
            self._insisting.remove(item)

    def remove(self, item: Item) -> bool:
        """Take out an item that waits; False if it does not wait."""
        if self._waiting.remove(item):
            return True
        key = item.conflict_key
        if key is None or key not in self._parked or not self._parked[key].remove(item):
            return False
        self._parked_count -= 1
        if key in self._freed and not self._parked[key]:
            self._freed.remove(key)
            del self._parked[key]
        return True

    @property
    def active(self) -> int:
        """Items that run."""
        return self._active

    def __len__(self) -> int:
        return len(self._waiting) + self._parked_count
