"""One state file as the loop sees it: operations in, commits out.

An operation is written at once (:meth:`StateFile.write`), or rides the next commit
(:meth:`StateFile.ride`), at latest after :data:`LINGER` seconds: a completion that is lost is only
a request that runs again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from actr_peer.errors import ClosedError, ConfigError
from actr_peer.state.file_lock import FileLock
from actr_peer.state.storage.database import Connection, Durability
from actr_peer.state.storage.late_writer import LateWriter, is_there
from actr_peer.state.storage.operations import Operation, Task
from actr_peer.state.storage.pages import NORMAL
from actr_peer.state.storage.writer import InlineWriter, Store, ThreadWriter, Writer
from actr_peer.tasks import Tasks

LINGER = 0.005
"""Seconds an operation may wait for a commit that it can ride."""

Found = TypeVar("Found")
Result = TypeVar("Result")


class StateFile(Generic[Found]):
    """Owns the writer and the lock of one file.

    Args:
        committed: Called on the loop with each batch, after the sync.
        on_trouble: Told why nothing new is taken: the file was taken away, or its log is too long.
        owner: Whose file it is, for another process that wants it.
        empty: What a new file holds. With it the file, its lock and its notes come with the first
            operation; one that is there is opened at once.
    """

    def __init__(
        self,
        path: str,
        store: Store[Operation, Found],
        durability: Durability,
        committed: Callable[[list[Operation]], None],
        on_trouble: Callable[[Exception], None] | None = None,
        *,
        owner: str = "",
        empty: Found | None = None,
    ) -> None:
        self._store = store
        self._durability: Durability = durability
        self._committed = committed
        self._trouble: Exception | None = None
        self._on_trouble = on_trouble
        self._path = path
        self._empty = empty
        self._lock = FileLock(path, owner)
        self._riding: list[Operation] = []
        self._is_lingering = False
        self._is_closed = False
        self._tasks = Tasks("state_file")
        self._writer: Writer[Operation, Found]

    async def open(self) -> Found:
        """Lock, open and recover; returns what the store found.

        Raises:
            BusyError: If another process holds the file.
            ConfigError: If the file cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        if self._durability == "memory":
            self._writer = InlineWriter(self._store, self._report)
            found = await self._writer.start()
        elif self._empty is not None and not is_there(self._path):
            tasks = self._tasks
            self._writer = LateWriter(self._empty, self._open_late, tasks, self._report)
            found = await self._writer.start()
        else:
            self._writer, found = await self._lock_and_open()
        await self._tasks.__aenter__()
        self._tasks.start("writer", self._watch())
        return found

    async def _lock_and_open(self) -> tuple[ThreadWriter[Operation, Found], Found]:
        self._lock.take()
        try:
            writer = ThreadWriter(self._store, self._report, "actr-writer")
            return writer, await writer.start()
        except BaseException:
            self._lock.release()
            raise

    async def _open_late(self) -> Writer[Operation, Found]:
        """The file that comes late comes now.

        Raises:
            ConfigError: If one is there by now, which no start has read.
        """
        writer, found = await self._lock_and_open()
        if found != self._empty:
            await writer.stop()
            self._lock.release()
            raise ConfigError(f"{self._path} came while its actor ran: start that again")
        self._writer = writer  # what follows goes straight to it
        return writer

    async def close(self) -> None:
        """Write what waits, close the file, return when it is closed."""
        self._is_closed = True
        try:
            self.flush()
            await self._writer.drain()
            self.flush()  # what the last commits have brought about
            await self._writer.stop()
            await self._tasks.__aexit__(None, None, None)
        finally:
            self._lock.release()

    async def _watch(self) -> None:
        """Fail the owner's block if the writer cannot go on."""
        await asyncio.shield(self._writer.failed)

    def write(self, operation: Operation) -> None:
        """Commit ``operation`` as soon as may be, with all that rides."""
        if self._riding:
            self.flush()
        self._writer.submit(operation)

    def ride(self, operation: Operation) -> None:
        """Commit ``operation`` with the next that is written, or after :data:`LINGER`."""
        self._riding.append(operation)
        if not self._is_lingering:
            self._is_lingering = True
            self._loop.call_later(LINGER, self._linger)

    def keep(self, operation: Operation) -> None:
        """Let ``operation``, for which there was no room, ride the next one that is written."""
        operation.error = None
        self._riding.append(operation)

    def keep_if_failed(self, task: Task) -> None:
        """The ``done`` of a task that must be done some day."""
        if task.error is not None:
            self.keep(task)

    def _linger(self) -> None:
        self._is_lingering = False
        self.flush()

    def flush(self) -> None:
        """Hand over what rides."""
        riding, self._riding = self._riding, []
        submit = self._writer.submit
        for operation in riding:
            submit(operation)

    @property
    def trouble(self) -> str:
        """What is wrong with the file: what a start found lost, or why nothing new is taken."""
        return str(self._trouble or self._store.loss)

    def _report(self, batch: list[Operation]) -> None:
        try:
            self._committed(batch)
        finally:
            if self._store.trouble is not self._trouble:
                self._note_trouble()

    def _note_trouble(self) -> None:
        was_well, self._trouble = self._trouble is None, self._store.trouble
        if was_well and self._trouble is not None and self._on_trouble is not None:
            self._on_trouble(self._trouble)

    async def ask(
        self, work: Callable[[Connection], Result], *, size: int = 0, reserve: int = NORMAL
    ) -> Result:
        """Run ``work`` in a transaction and return what it returns, after the sync.

        Raises:
            ClosedError: If the file is closed, or closes.
            sqlite3.Error: What ``work`` met; nothing is written then.
        """
        if self._is_closed:
            raise ClosedError("the state file is closed")
        future: asyncio.Future[Result] = self._loop.create_future()

        def tell(task: Task) -> None:
            if future.cancelled():
                return
            if task.error is not None:
                future.set_exception(task.error)
            else:
                future.set_result(task.result)

        self.write(Task(work, tell, size=size, reserve=reserve))
        return await future


Tellers = Mapping[type[Operation], Callable[[Any], object]]


def tell_task(task: Task) -> None:
    """Tell who handed a task in."""
    task.done(task)


def tell_each(
    batch: list[Operation],
    tellers: Tellers,
    tell_rest: Callable[[list[Operation]], None],
) -> None:
    """Tell of each operation of a batch that is committed, in order.

    Args:
        tellers: Who is told, for each kind that the owner of the file writes.

    A bug in what is told goes to the loop's handler; the others are told in another turn, by
    ``tell_rest``.
    """
    operations = iter(batch)
    try:
        for operation in operations:
            tellers[type(operation)](operation)
    except BaseException:
        if rest := list(operations):
            asyncio.get_running_loop().call_soon(tell_rest, rest)
        raise
