"""Who writes to a reader in the same process goes on in turn, few in a turn of the loop.

Where thousands of writers went on in one turn, each would fill its stream before any reader ran:
hundreds of thousands of items would fit no cache, the collector would look at all of them time and
again, and whatever else the loop has to do would wait for all of that.
"""

from __future__ import annotations

import asyncio
from collections import deque

A_TURN = 32
"""Writers that go on in a turn of the loop: with their streams full, some milliseconds' work."""


class Turnstile:
    """Writers that may go on, in the order in which room was made for them.

    Each goes on after a bounded number of turns, whatever other readers do.
    """

    __slots__ = ("_is_turning", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_turning = False

    def __len__(self) -> int:
        return len(self._waiting)

    def admit(self, waiter: asyncio.Future[None]) -> None:
        """Let it go on in its turn; one that was cancelled meanwhile takes nobody's."""
        self._waiting.append(waiter)
        if not self._is_turning:
            self._is_turning = True
            waiter.get_loop().call_soon(self._turn)

    def _turn(self) -> None:
        waiting, left = self._waiting, A_TURN
        while waiting and left:
            waiter = waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                left -= 1
        self._is_turning = bool(waiting)
        if waiting:
            waiting[0].get_loop().call_soon(self._turn)
