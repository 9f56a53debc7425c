"""One writer: what arrives while a commit runs shares the next (decision 0008).

The loop hands operations over with :meth:`Writer.submit`; the writer applies a whole batch in
one transaction and reports it back on the loop, after the sync. :class:`ThreadWriter` does it
in a thread of its own, :class:`InlineWriter` on the loop, for a database in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, Protocol, TypeVar

MAX_BATCH = 512
"""Operations in one transaction."""
MAX_BATCH_BYTES = 2 * 1024 * 1024
"""Bytes after which a batch takes no more: half of the log that is made in advance."""


class Sized(Protocol):
    """An operation knows about how many bytes it writes."""

    @property
    def size(self) -> int: ...


Op = TypeVar("Op", bound=Sized)
Op_contra = TypeVar("Op_contra", bound=Sized, contravariant=True)
Opened = TypeVar("Opened")
Opened_co = TypeVar("Opened_co", covariant=True)


class Store(Protocol[Op, Opened_co]):
    """What owns the connection; all of it runs where the writer runs."""

    def open(self) -> Opened_co:
        """Open, recover, and return what was found. What it raises leaves ``start``."""

    def apply(self, batch: list[Op]) -> None:
        """Commit ``batch``; an exception here ends the writer and fails its owner."""

    def close(self) -> None: ...


class Writer(Protocol[Op_contra, Opened_co]):
    """Applies operations in order, in batches."""

    @property
    def failed(self) -> asyncio.Future[None]:
        """Gets the exception of a store that could not go on; ends with the writer."""

    async def start(self) -> Opened_co: ...

    def submit(self, operation: Op_contra, /) -> None:
        """Queue one operation; its batch is reported on the loop when it is committed."""

    async def stop(self) -> None:
        """Apply what was submitted, close the store, and return when it is closed."""


class ThreadWriter(Generic[Op, Opened]):
    """The writer thread. Its queue is bounded by what the submitter admits.

    Args:
        store: Used by the thread alone from :meth:`start` to :meth:`stop`.
        committed: Called on the loop with each batch, once it is safe.
    """

    def __init__(
        self, store: Store[Op, Opened], committed: Callable[[list[Op]], None], name: str
    ) -> None:
        self._store = store
        self._committed = committed
        self._queue: SimpleQueue[Op | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._opened: asyncio.Future[Opened] = self._loop.create_future()
        self._closed = asyncio.Event()
        # A daemon: an interpreter that ends without leaving the owner's block must not hang.
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self.submit = self._queue.put

    async def start(self) -> Opened:
        self._thread.start()
        try:
            return await asyncio.shield(self._opened)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        self._queue.put(None)
        await self._closed.wait()
        self._thread.join()
        if not self.failed.done():
            self.failed.set_result(None)

    def _run(self) -> None:
        call = self._loop.call_soon_threadsafe
        try:
            try:
                found = self._store.open()
            except BaseException as exc:  # noqa: BLE001 - carried to the loop, raised there
                call(self._opened.set_exception, exc)
                return
            call(self._opened.set_result, found)
            try:
                while batch := self._take():
                    self._store.apply(batch)
                    call(self._committed, batch)
            except BaseException as exc:  # noqa: BLE001 - carried to the loop, raised there
                call(self.failed.set_exception, exc)
            finally:
                self._store.close()
        finally:
            call(self._closed.set)

    def _take(self) -> list[Op]:
        """Wait for one operation, and take with it all that wait; empty at the end."""
        first = self._queue.get()
        if first is None:
            return []
        batch = [first]
        size = first.size
        get = self._queue.get_nowait
        try:
            while len(batch) < MAX_BATCH and size < MAX_BATCH_BYTES:
                operation = get()
                if operation is None:
                    self._queue.put(None)  # the end, once this batch is done
                    break
                batch.append(operation)
                size += operation.size
        except Empty:
            pass
        return batch


class InlineWriter(Generic[Op, Opened]):
    """The same on the loop itself: one batch per turn of the loop. Only for ``memory``."""

    def __init__(self, store: Store[Op, Opened], committed: Callable[[list[Op]], None]) -> None:
        self._store = store
        self._committed = committed
        self._batch: list[Op] = []
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()

    async def start(self) -> Opened:
        return self._store.open()

    def submit(self, operation: Op) -> None:
        if not self._batch:
            self._loop.call_soon(self._apply)
        self._batch.append(operation)

    def _apply(self) -> None:
        batch, self._batch = self._batch, []
        if batch:
            self._store.apply(batch)
            self._committed(batch)

    async def stop(self) -> None:
        while self._batch:
            self._apply()
        self._store.close()
        if not self.failed.done():
            self.failed.set_result(None)
