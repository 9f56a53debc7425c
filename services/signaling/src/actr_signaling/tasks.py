"""Background tasks belong to a block: born in it, gone when it ends."""

from __future__ import annotations

from asyncio import Task, TaskGroup
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from actr_signaling.errors import ClosedError


class Tasks:
    """A task group that ends with its block instead of outliving it.

    ``asyncio.TaskGroup`` waits for its children when the block ends; the loops
    of a service never end by themselves, so leaving this block cancels them first.
    A child that fails cancels its siblings and the block, and the error leaves
    the block in an :class:`ExceptionGroup`: no failure is lost, none is late.

    Example::

        async with Tasks("ledger") as tasks:
            tasks.start("reader", self._read())
            await self._closed.wait()
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._group = TaskGroup()
        self._children: set[Task[None]] | None = None

    def start(self, name: str, coro: Coroutine[Any, Any, None]) -> Task[None]:
        """Start ``coro`` as ``<owner>/<name>``, the name seen in logs and dumps.

        The block stays the owner; the returned task is for cancelling it early.

        Raises:
            ClosedError: If the block is not running.
        """
        if self._children is None:
            coro.close()
            raise ClosedError(f"{self.name} is not running")
        child = self._group.create_task(coro, name=f"{self.name}/{name}")
        self._children.add(child)
        child.add_done_callback(self._children.discard)
        return child

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._children = set()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        children, self._children = self._children or set(), None
        if exc is None:  # else the group cancels them; twice would cut their clean-up short
            for child in tuple(children):
                if not child.cancelling():
                    child.cancel()
        await self._group.__aexit__(exc_type, exc, traceback)
