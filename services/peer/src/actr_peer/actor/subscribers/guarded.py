"""A user's callback on the fast path: a failing one is counted and goes on with the next item."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Generic, TypeVar

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.access.principals import Principal
from actr_peer.tasks import is_torn_down, note_failure

Item = TypeVar("Item")
Callback = Callable[[Item, Principal], Awaitable[None] | None]
Who = Callable[[ActrId], Principal]
"""What is known of a sender."""


class Guarded(Generic[Item]):
    """A user's callback whose failures stay with it.

    Args:
        who: Asked about the sender of each item, for the callback to be told.
    """

    def __init__(self, name: str, callback: Callback[Item], who: Who = Principal.unproven) -> None:
        self._who = who
        self.name = name
        self.failed = 0
        self._callback = callback

    async def __call__(self, item: Item, sender: ActrId) -> None:
        """Run the callback to its end; an error of its own is logged and counted."""
        rest = self.begin(item, sender)
        if rest is not None:
            await self.finish(rest, sender)

    def begin(self, item: Item, sender: ActrId) -> Awaitable[None] | None:
        """Call the callback; returns what is left for :meth:`finish`, None where nothing is."""
        try:
            result = self._callback(item, self._who(sender))
        except BaseException as exc:  # the user's code: an exit that it raises is none of ours
            if isinstance(exc, asyncio.CancelledError) and not _is_its_own(exc):
                raise
            self._note(sender, exc)
            return None
        if result is None:  # nearly always, of one that is no coroutine function
            return None
        return result if isawaitable(result) else None

    async def finish(self, rest: Awaitable[None], sender: ActrId) -> None:
        """Wait for what :meth:`begin` has returned."""
        try:
            await rest
        except BaseException as exc:  # likewise
            if not _is_its_own(exc):
                raise
            self._note(sender, exc)

    def _note(self, sender: ActrId, exc: BaseException) -> None:
        self.failed += 1
        note_failure(f"callback for {sender}", self.name, exc)


def _is_its_own(exc: BaseException) -> bool:
    """Whether the callback failed, and not its task is being ended."""
    if isinstance(exc, asyncio.CancelledError):  # of something that it cancelled, and awaited
        task = asyncio.current_task()
        return task is None or not task.cancelling()
    return not is_torn_down(exc)
