"""Sans-I/O: who of those that wait for room in a lane goes next, and how much in one turn.

Waking a task, and having all that belongs to its stream come from memory, costs as much as some
items do. So a writer that has waited sends a few in its turn: what its :class:`Quantum` lets it.
One whose quantum is not used up is not behind those who have had all of theirs: it waits in a line
of its own, and the two lines are served by turns. So each has the same part in the long run, and
one who seldom sends does not wait for thousands who send all the time::

    some is left ─▶ short line ─┐ by turns
    none is left ─▶ long line ──┴─▶ called ─▶ sends while any is left, and there is room
                    (a new quantum)
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

QUANTUM = 4096
"""Bytes of one turn; the message that uses them up is the last of it, whatever its size."""
COST = 400
"""Bytes that a message counts for beside its own."""

Who = TypeVar("Who")


class Quantum:
    """What one of many writers may still send before it is another's turn."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = QUANTUM

    def spend(self, size: int) -> None:
        """A message of ``size`` bytes goes in its turn."""
        self.left -= size + COST

    def renew(self) -> None:
        """Its writer has waited in the long line."""
        self.left = QUANTUM


class Waiter(Generic[Who]):
    """One message that waits for room."""

    __slots__ = ("bytes_kept", "frames", "frames_kept", "is_called", "quantum", "size", "who")

    def __init__(self, who: Who, size: int, frames: int, quantum: Quantum | None) -> None:
        self.who = who
        self.size = size
        """Bytes of the message."""
        self.frames = frames
        """Frames that it is cut into."""
        self.quantum = quantum
        """None: it has one message in its turn, and waits in the long line."""
        self.is_called = False
        self.bytes_kept = 0
        self.frames_kept = 0


class FairQueue(Generic[Who]):
    """Those who wait, oldest first, and those who were called and have not run yet.

    For the latter room is kept, for as many messages like the first as the quantum holds. Anybody
    may leave at any time, and there may be thousands: none is searched for.

    Attributes:
        count: Who waits or was called.
        bytes_kept: Room that is kept for those who were called.
        frames_kept: Likewise.
    """

    __slots__ = ("_is_short_next", "_long", "_short", "bytes_kept", "count", "frames_kept")

    def __init__(self) -> None:
        self._short: OrderedDict[Waiter[Who], None] = OrderedDict()
        self._long: OrderedDict[Waiter[Who], None] = OrderedDict()
        self._is_short_next = True
        self.count = 0
        self.bytes_kept = 0
        self.frames_kept = 0

    def join(self, waiter: Waiter[Who]) -> None:
        """Wait."""
        quantum = waiter.quantum
        line = self._long if quantum is None or quantum.left <= 0 else self._short
        line[waiter] = None
        self.count += 1

    def call(self, free_bytes: int, free_frames: int, *, is_empty: bool) -> Waiter[Who] | None:
        """The next, if there is room for it; the caller lets it go on, and :meth:`leave` follows.

        Args:
            free_bytes: What the window has left, counting nothing of what is kept here.
            free_frames: Likewise.
            is_empty: Whether nothing is in the window: then the first has room in any case.
        """
        is_short = bool(self._short) and (self._is_short_next or not self._long)
        line = self._short if is_short else self._long
        if not line:
            return None
        waiter = next(iter(line))
        quantum = waiter.quantum
        times = 1
        if quantum is not None:
            times = -(-(quantum.left if is_short else QUANTUM) // (waiter.size + COST))
        size, frames = waiter.size * times, waiter.frames * times
        if not self._has_room(size, frames, free_bytes, free_frames) and (
            not is_empty or self.frames_kept
        ):
            return None
        self._is_short_next = not is_short
        del line[waiter]
        if quantum is not None and not is_short:
            quantum.renew()
        waiter.is_called = True
        waiter.bytes_kept = size
        waiter.frames_kept = frames
        self.bytes_kept += size
        self.frames_kept += frames
        return waiter

    def may_pass(
        self, quantum: Quantum, size: int, frames: int, free_bytes: int, free_frames: int
    ) -> bool:
        """Whether a message may go past those who wait: its writer's turn is not over, and there
        is room beside what is kept.

        Args:
            free_bytes: As :meth:`call`, and ``free_frames``.
        """
        return quantum.left > 0 and self._has_room(size, frames, free_bytes, free_frames)

    def _has_room(self, size: int, frames: int, free_bytes: int, free_frames: int) -> bool:
        return self.bytes_kept + size <= free_bytes and self.frames_kept + frames <= free_frames

    def leave(self, waiter: Waiter[Who]) -> None:
        """It has gone, or given up."""
        self.count -= 1
        if waiter.is_called:
            self.bytes_kept -= waiter.bytes_kept
            self.frames_kept -= waiter.frames_kept
        elif self._short.pop(waiter, self) is self:
            del self._long[waiter]

    def waiting(self) -> list[Who]:
        """All who wait and were not called."""
        return [waiter.who for line in (self._short, self._long) for waiter in line]
