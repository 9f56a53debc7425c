"""Looking again and again at what an issuer publishes, while an actor runs."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import NoReturn, Self

from actr_peer.tasks import Tasks

SPREAD = 1 / 4
"""Of the time between two looks, by which one may be earlier: not all actors ask together."""


class Looks(ABC):
    """A block, inside which :meth:`look` is called; it ends with the block.

    Args:
        every: Seconds between two looks, at most.
        wait: As ``asyncio.sleep``.
    """

    def __init__(self, *, every: float, wait: Callable[[float], Awaitable[None]]) -> None:
        self._every, self._wait = every, wait
        self._tasks = Tasks("issuer")

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._tasks.__aexit__(exc_type, exc, traceback)

    @abstractmethod
    async def look(self) -> None:
        """Take what is new; whatever is answered, it raises nothing but for a bug."""

    def _begin(self, *, at_once: bool) -> None:
        """Look from now on."""
        self._tasks.start("looks", self._go_on(at_once=at_once))

    async def _go_on(self, *, at_once: bool) -> NoReturn:
        if at_once:
            await self.look()
        while True:
            await self._wait(self._every * (1 - SPREAD * random.random()))  # noqa: S311
            await self.look()
