"""One writer: what arrives while a commit runs shares the next (decision 0008).

The loop hands operations over with :meth:`Writer.submit`; the writer applies a whole batch in
one transaction and reports it back on the loop, after the sync. :class:`ThreadWriter` does it
in a thread of its own, or on the loop while the disk is quick;
:class:`InlineWriter` always on the loop, for a database in memory.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Generic, Protocol, TypeVar

MAX_BATCH = 512
"""Operations in one transaction."""
MAX_BATCH_BYTES = 1024 * 1024
"""Bytes after which a batch takes no more: half of the log that is made in advance."""
LOOP_BATCH_BYTES = 256 * 1024
"""What may be committed on the loop: the way to the thread and back would cost a fifth of a lone
call, and a busy machine lets a thread wait for some milliseconds (decision 0008)."""
QUICK_SECONDS = 0.0005
"""The loop usually stops for less than this, beside the rows' own time, or the thread commits."""
ROW_SECONDS = 0.000005
"""What a row takes without the sync, at most."""
RECENT = 8
"""Commits of the thread of which the quickest counts."""
WEIGHT = 0.1
"""Of the newest commit in the usual time: one of 50 ms sends the next two dozen to the thread."""


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

    @property
    def trouble(self) -> Exception | None:
        """Why nothing new is taken now; None: all is well."""

    @property
    def loss(self) -> str:
        """What the start found missing, and went on without; "": nothing."""

    def open(self) -> Opened_co:
        """Open, recover, and return what was found. What it raises leaves ``start``."""

    def apply(self, batch: list[Op]) -> None:
        """Commit ``batch``; an exception here ends the writer and fails its owner."""

    def apply_now(self, batch: list[Op]) -> bool:
        """Commit ``batch`` if that needs neither room to be made nor another program to be
        waited for; False: nothing was written, and :meth:`apply` is to do it."""

    def close(self) -> None: ...


class Writer(Protocol[Op_contra, Opened_co]):
    """Applies operations in order, in batches."""

    @property
    def failed(self) -> asyncio.Future[None]:
        """Gets the exception of a store that could not go on; ends with the writer."""

    async def start(self) -> Opened_co: ...

    def submit(self, operation: Op_contra, /) -> None:
        """Queue one operation; its batch is reported on the loop when it is committed."""

    async def drain(self) -> None:
        """Return when all that was submitted is applied, or the store could not go on."""

    async def stop(self) -> None:
        """Apply what was submitted, close the store, and return when it is closed."""


class ThreadWriter(Generic[Op, Opened]):
    """The writer thread: one batch at a time, handed over at the end of a turn of the loop.

    While a batch is committed the next one gathers. It is handed over when the callbacks of the
    first have run, so that what they submit is in it: full batches, and never two threads that
    want the interpreter at once.

    Args:
        store: Opened and closed by the thread, and used by it while a batch is handed over.
        committed: Called on the loop with each batch, once it is safe.
        clock: Seconds, by which commits are measured.
    """

    def __init__(
        self,
        store: Store[Op, Opened],
        committed: Callable[[list[Op]], None],
        name: str,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._store = store
        self._committed = committed
        self._clock = clock
        self._gathered: deque[Op] = deque()
        """Bounded by what the submitter admits."""
        self._is_busy = False
        """A batch is being committed, or will be handed over in this turn."""
        self._usual = QUICK_SECONDS
        """Seconds that recent commits took beside their rows' own, about."""
        self._in_thread: deque[float] = deque(maxlen=RECENT)
        """What the newest commits of the thread took, likewise. The least of them is the disk's:
        on a busy loop the others waited for the interpreter, some milliseconds each, and would
        keep the thread in use where the disk is quick, and its calls slow."""
        self._batches: SimpleQueue[list[Op]] = SimpleQueue()
        """Holds one; an empty one ends the thread."""
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._opened: asyncio.Future[Opened] = self._loop.create_future()
        self._closed = asyncio.Event()
        self._drained = asyncio.Event()
        # A daemon: an interpreter that ends without leaving the owner's block must not hang.
        self._thread = Thread(target=self._run, name=name, daemon=True)

    async def start(self) -> Opened:
        self._thread.start()
        try:
            return await asyncio.shield(self._opened)
        except BaseException:
            self._batches.put([])  # it may open well, and nobody will hand it anything
            await self._closed.wait()
            self._thread.join()
            raise

    async def drain(self) -> None:
        while self._is_busy and not self.failed.done():
            self._drained.clear()
            await self._drained.wait()

    async def stop(self) -> None:
        await self.drain()
        self._is_busy = True  # what comes now is not taken: the connection is the thread's
        self._batches.put([])
        await self._closed.wait()
        self._thread.join()
        if not self.failed.done():
            self.failed.set_result(None)

    def submit(self, operation: Op) -> None:
        self._gathered.append(operation)
        if not self._is_busy:
            self._is_busy = True
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        gathered = self._gathered
        if self._usual < QUICK_SECONDS and len(gathered) <= MAX_BATCH and self._commit_now():
            return
        batch: list[Op] = []
        size = 0
        while gathered and len(batch) < MAX_BATCH and size < MAX_BATCH_BYTES:
            operation = gathered.popleft()
            batch.append(operation)
            size += operation.size
        self._batches.put(batch)

    def _commit_now(self) -> bool:
        """Commit what is gathered here and now; False: it is for the thread."""
        batch = list(self._gathered)
        if sum(operation.size for operation in batch) > LOOP_BATCH_BYTES:
            return False
        started = self._clock()
        try:
            if not self._store.apply_now(batch):
                return False
        except Exception as exc:  # noqa: BLE001 - goes to the owner, as the thread's does
            self._fail(exc)
            return True
        self._gathered.clear()
        beside = _beside_rows(batch, self._clock() - started)
        if beside >= QUICK_SECONDS:  # the disk's own: what the thread has found before is over
            self._in_thread.clear()
        self._report(batch, beside)
        return True

    def _report_of_thread(self, batch: list[Op], seconds: float) -> None:
        """On the loop: the thread has committed a batch."""
        self._in_thread.append(_beside_rows(batch, seconds))
        self._report(batch, min(self._in_thread))

    def _report(self, batch: list[Op], beside: float) -> None:
        """On the loop: a batch is committed; the disk took so long beside the rows."""
        self._usual += WEIGHT * (beside - self._usual)
        try:
            self._committed(batch)
        finally:
            # Behind the callbacks that the report has scheduled.
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._gathered:
            self._hand_over()
        else:
            self._is_busy = False
            self._drained.set()

    def _fail(self, error: BaseException) -> None:
        self._drained.set()
        self.failed.set_exception(error)

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
                while batch := self._batches.get():
                    started = self._clock()
                    self._store.apply(batch)
                    call(self._report_of_thread, batch, self._clock() - started)
                    # The loop is to free it: here that would hold up the next one.
                    del batch
            except BaseException as exc:  # noqa: BLE001 - carried to the loop, raised there
                call(self._fail, exc)
            finally:
                self._store.close()
        finally:
            call(self._closed.set)


def _beside_rows(batch: Sequence[Sized], seconds: float) -> float:
    """What a commit took beside its rows' own time, seconds."""
    return max(0.0, seconds - len(batch) * ROW_SECONDS)


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

    async def drain(self) -> None:
        while self._batch:
            self._apply()

    async def stop(self) -> None:
        await self.drain()
        self._store.close()
        if not self.failed.done():
            self.failed.set_result(None)
