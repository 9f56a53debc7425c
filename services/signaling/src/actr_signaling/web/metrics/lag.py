"""How late the loop is: what waits longest for it is what a peer waits for."""

from __future__ import annotations

import asyncio
from typing import Final

from actr_signaling.hub.durations import Durations
from actr_signaling.tasks import Tasks

EVERY: Final = 0.5
"""Seconds between two looks: each is one callback."""


class Lag:
    """Looks for as long as its block lasts."""

    def __init__(self) -> None:
        self.durations = Durations()
        self._tasks = Tasks("lag")

    async def __aenter__(self) -> None:
        await self._tasks.__aenter__()
        self._tasks.start("look", self._look())

    async def __aexit__(self, *exc: object) -> None:
        await self._tasks.__aexit__(None, None, None)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + EVERY
            await asyncio.sleep(EVERY)
            self.durations.add(max(0.0, loop.time() - due))
