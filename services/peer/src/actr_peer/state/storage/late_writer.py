"""The writer of a file that comes with its first operation.

An actor that makes no durable call has no outbox file, and no lock, log, mark and thread for one.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from asyncio import Future, Task
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from actr_peer.errors import ClosedError, PeerError
from actr_peer.state.storage.operations import Operation
from actr_peer.state.storage.writer import Writer
from actr_peer.tasks import Tasks

Opened = TypeVar("Opened")


def is_there(path: str) -> bool:
    """Whether there is a state file, or something by which its loss is known."""
    return any(os.path.lexists(path + suffix) for suffix in ("", "-wal", "-mark"))


class LateWriter(Generic[Opened]):
    """Takes operations as a :class:`~actr_peer.state.storage.writer.Writer` does, and makes the
    real one for the first of them.

    A file that cannot be made refuses what was to be written; the next operation tries again.

    Args:
        empty: What the file holds when it is new.
        open_file: Makes the file, and its writer, which has started.
        tasks: The owner's.
        refused: Told of operations with their ``error``, where the file cannot be made.
    """

    def __init__(
        self,
        empty: Opened,
        open_file: Callable[[], Awaitable[Writer[Operation, Opened]]],
        tasks: Tasks,
        refused: Callable[[list[Operation]], None],
    ) -> None:
        self._empty = empty
        self._open_file = open_file
        self._tasks = tasks
        self._refused = refused
        self._waiting: list[Operation] = []
        """Bounded by what the submitter admits."""
        self._opening: Task[None] | None = None
        self._writer: Writer[Operation, Opened] | None = None
        self.failed: Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> Opened:
        return self._empty

    def submit(self, operation: Operation) -> None:
        if self._writer is not None:
            self._writer.submit(operation)
            return
        self._waiting.append(operation)
        if self._opening is None:
            self._opening = self._tasks.start("open", self._open(), failed=self._refuse)

    async def _open(self) -> None:
        """Make the file, and write what waits."""
        try:
            self._writer = writer = await self._open_file()
        except (PeerError, OSError, sqlite3.Error) as exc:
            self._refuse(exc)
            return
        writer.failed.add_done_callback(self._end)
        for operation in self._waiting:
            writer.submit(operation)
        self._waiting.clear()

    def _refuse(self, error: BaseException) -> None:
        waiting, self._waiting = self._waiting, []
        for operation in waiting:
            operation.error = error if isinstance(error, Exception) else ClosedError(str(error))
        self._opening = None
        self._refused(waiting)

    def _end(self, failed: Future[None]) -> None:
        """As the writer of the file has ended."""
        error = failed.exception()
        if error is None:
            self.failed.set_result(None)
        else:
            self.failed.set_exception(error)

    async def drain(self) -> None:
        while self._opening is not None and not self._opening.done():
            await asyncio.wait({self._opening})
        if self._writer is not None:
            await self._writer.drain()

    async def stop(self) -> None:
        await self.drain()
        if self._writer is not None:
            await self._writer.stop()
        else:
            self.failed.set_result(None)
