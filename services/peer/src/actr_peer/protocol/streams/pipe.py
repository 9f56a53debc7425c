"""Sans-I/O: one half of a stream inside the process: items from one writer to one reader.

The writer and the reader share one state::

    OPEN ─ end ─▶ HALF_CLOSED ─ all taken ─▶ ENDED
      └── the reader leaves, or its time is over ─▶ ENDED, FAILED

The bounds are those of a stream between processes: as many items and bytes are held, where items
are reliable their writer waits, and of latency-first items the oldest is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Generic, TypeVar

WINDOW = 64
"""Items that are held for the reader."""
FIRST_WINDOW = 8
"""The same of a stream that begins, until its writer has waited for its turn: the items of
thousands that begin at once would fit no cache, and an allocator would not soon forget them."""
WINDOW_BYTES = 1024 * 1024
"""Bytes likewise; one item alone may be longer."""

Item = TypeVar("Item")


class PipeState(Enum):
    """Where a pipe is."""

    OPEN = auto()
    HALF_CLOSED = auto()
    """Its writer has ended it, and items wait to be taken."""
    ENDED = auto()
    FAILED = auto()
    """With an error, which is due after the items before it."""


class PipeEvent(Enum):
    """What moves a pipe."""

    END = auto()
    """The writer has ended it."""
    DRAINED = auto()
    """It was ended, and the last item was taken."""
    CLOSE = auto()
    """The reader takes no more."""
    FAIL = auto()


TABLE: Mapping[tuple[PipeState, PipeEvent], PipeState] = MappingProxyType(
    {
        (PipeState.OPEN, PipeEvent.END): PipeState.HALF_CLOSED,
        (PipeState.OPEN, PipeEvent.CLOSE): PipeState.ENDED,
        (PipeState.OPEN, PipeEvent.FAIL): PipeState.FAILED,
        (PipeState.HALF_CLOSED, PipeEvent.DRAINED): PipeState.ENDED,
        (PipeState.HALF_CLOSED, PipeEvent.CLOSE): PipeState.ENDED,
        (PipeState.HALF_CLOSED, PipeEvent.FAIL): PipeState.FAILED,
    }
)
"""What is not here changes nothing: it is word that comes late."""

_OPEN, _HALF_CLOSED = PipeState.OPEN, PipeState.HALF_CLOSED


class Pipe(Generic[Item]):
    """What is held, and what may be.

    Args:
        is_metered: Whether the writer waits for room; else the oldest items make it.

    Attributes:
        dropped: Latency-first items that a slow reader lost.
        stale: Likewise, that it came for too late.
    """

    __slots__ = (
        "_at",
        "_held",
        "_is_metered",
        "_window",
        "dropped",
        "error",
        "held_bytes",
        "stale",
        "state",
    )

    def __init__(self, *, is_metered: bool) -> None:
        self.state = PipeState.OPEN
        self.error: Exception | None = None
        """What the reader gets after the items that are held."""
        self.held_bytes = 0
        self.dropped = 0
        self.stale = 0
        self._held: deque[Any] = deque()
        """Each item, and behind it its bytes: a pair of the two would be one object more for the
        collector to look at, and thousands of streams hold hundreds of thousands of items."""
        self._at: deque[float] = deque()
        """When each was put, where it is not metered."""
        self._is_metered = is_metered
        self._window = FIRST_WINDOW if is_metered else WINDOW

    def __len__(self) -> int:
        return len(self._held) >> 1

    @property
    def is_open(self) -> bool:
        """Whether the writer may put items."""
        return self.state is _OPEN

    @property
    def has_room(self) -> bool:
        """Whether an item, of whatever size, may come now and push out no other."""
        return len(self._held) < 2 * self._window and self.held_bytes < WINDOW_BYTES

    def widen(self) -> bool:
        """Hold as many items as any; False: it does already."""
        was_first = self._window < WINDOW
        self._window = WINDOW
        return was_first

    def step(self, event: PipeEvent) -> bool:
        """Take one event; False if it comes too late to change anything."""
        state = TABLE.get((self.state, event))
        if state is None:
            return False
        self.state = state
        return True

    def put(self, item: Item, size: int, at: float = 0.0) -> None:
        """Hold an item of ``size`` bytes, where it :attr:`is_open`, and has room or is not
        metered.

        Args:
            at: When, for :meth:`drop_older`, where it is not metered.
        """
        assert self.state is _OPEN, "who writes looks first"
        if not self._is_metered:
            while self._held and (len(self) >= WINDOW or self.held_bytes + size > WINDOW_BYTES):
                self._drop()
                self.dropped += 1
            self._at.append(at)
        self._held.append(item)
        self._held.append(size)
        self.held_bytes += size

    def take(self) -> Item:
        """The oldest item.

        Raises:
            IndexError: If none is held.
        """
        held = self._held
        item: Item = held.popleft()
        self.held_bytes -= held.popleft()
        if not self._is_metered:
            self._at.popleft()
        if not held:
            self._settle()
        return item

    def drop_older(self, than: float) -> None:
        """Drop the items that were put before this time: late ones are worth nothing."""
        while self._at and self._at[0] < than:
            self._drop()
            self.stale += 1
        self._settle()

    def _drop(self) -> None:
        self._held.popleft()
        self.held_bytes -= self._held.popleft()
        self._at.popleft()

    def end(self, error: Exception | None = None) -> bool:
        """The writer has ended it, well or with an error; False if it was over."""
        if error is not None:
            return self.fail(error) if self.state is _OPEN else False
        if not self.step(PipeEvent.END):
            return False
        self._settle()
        return True

    def fail(self, error: Exception) -> bool:
        """It ends with ``error`` after what is held; False if it was over."""
        if not self.step(PipeEvent.FAIL):
            return False
        self.error = error
        return True

    def close(self) -> bool:
        """The reader takes no more: drop what is held. False if it was over."""
        self._held.clear()
        self._at.clear()
        self.held_bytes = 0
        return self.step(PipeEvent.CLOSE)

    def _settle(self) -> None:
        if self.state is _HALF_CLOSED and not self._held:
            self.step(PipeEvent.DRAINED)
