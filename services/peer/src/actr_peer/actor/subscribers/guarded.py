"""A user's callback on the fast path: a failing one is counted and goes on with the next item."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Generic, TypeVar

from actr_peer.protocol.identity import ActrId
from actr_peer.tasks import note_failure

Item = TypeVar("Item")
Callback = Callable[[Item, ActrId], Awaitable[None] | None]


class Guarded(Generic[Item]):
    """A user's callback whose failures stay with it."""

    def __init__(self, name: str, callback: Callback[Item]) -> None:
        self.name = name
        self.failed = 0
        self._callback = callback

    async def __call__(self, item: Item, sender: ActrId) -> None:
        """Run the callback to its end; an error of its own is logged and counted."""
        try:
            result = self._callback(item, sender)
            if isawaitable(result):
                await result
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._note(sender, exc)  # of something of its own that it cancelled, and awaited
        except BaseException as exc:  # the user's code: an exit that it raises is none of ours
            if isinstance(exc, GeneratorExit):
                raise
            self._note(sender, exc)

    def _note(self, sender: ActrId, exc: BaseException) -> None:
        self.failed += 1
        note_failure(f"callback for {sender}", self.name, exc)
