"""The pace of all tracks of one connection: who waits for its budget, and what is sent meanwhile.

What is decided is in ``protocol/media/pacing.py``; here are the clock, one timer and the futures
of those who wait. There is no task: aiortc's sending never suspends.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from actr_peer.protocol.media.pacing import Budget, Queue, deadline

LEAST_WAIT = 0.001
"""Seconds: a loop that knows milliseconds only would come back at once, again and again."""


class Repeater(Protocol):
    """A sender that can send a packet again."""

    def repeat(self, sequence: int) -> int:
        """Send the packet with this number again now; return its bytes, 0 where it is gone."""


class Pace:
    """Shared by the senders of a connection.

    Args:
        rate: Bytes a second, where nothing is lost.
    """

    def __init__(self, rate: int) -> None:
        self.budget = Budget(rate, now=time.monotonic())
        self.queue: Queue[asyncio.Future[None], tuple[Repeater, int]] = Queue()
        self._timer: asyncio.TimerHandle | None = None

    def deadline(self, size_bytes: int) -> float:
        """Of a frame of this size that is ready now."""
        return deadline(size_bytes, self.budget.rate, now=time.monotonic())

    async def begin(self, deadline: float) -> bool:
        """Wait for the turn of a frame whose first packet is next; True if it waited."""
        if not self.queue and not self.budget.is_overdrawn:
            return False
        await self._turn(deadline)
        return True

    def charge(self, count: int) -> bool:
        """``count`` bytes leave; True where that is too fast: wait for a :meth:`turn`."""
        self.budget.charge(count)
        return self.budget.is_overdrawn

    async def turn(self, deadline: float) -> None:
        """Wait until more of a frame may leave."""
        if self.budget.wait(now=time.monotonic()):
            await self._turn(deadline)

    def repeat(self, sender: Repeater, sequence: int) -> None:
        """Have ``sender`` send a packet again, before all that is new."""
        self.queue.repeat((sender, sequence))
        self._arm()

    def lost(self) -> None:
        """The far side misses packets."""
        self.budget.lost(now=time.monotonic())

    def end(self) -> None:
        """Nothing is sent any longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _turn(self, deadline: float) -> None:
        turn = asyncio.get_running_loop().create_future()
        self.queue.push(deadline, turn)
        self._arm()
        await turn

    def _arm(self) -> None:
        if self._timer is None and self.queue:
            delay = self.budget.wait(now=time.monotonic())
            delay = max(delay, LEAST_WAIT) if delay else 0.0
            self._timer = asyncio.get_running_loop().call_later(delay, self._go_on)

    def _go_on(self) -> None:
        """Repeat what the budget allows; then it is one frame's turn, until it waits again."""
        self._timer = None
        while not self.budget.wait(now=time.monotonic()):
            again = self.queue.next_repeat()
            if again is not None:
                sender, sequence = again
                self.budget.charge(sender.repeat(sequence))
                continue
            turn = self.queue.pop()
            if turn is None:
                break
            if not turn.done():  # one whose track was stopped meanwhile is cancelled
                turn.set_result(None)
                break
        self._arm()
