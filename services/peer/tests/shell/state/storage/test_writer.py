"""Writers: batches in order, one at a time, reported on the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from actr_peer.state.storage.writer import (
    LOOP_BATCH_BYTES,
    MAX_BATCH,
    MAX_BATCH_BYTES,
    QUICK_SECONDS,
    RECENT,
    InlineWriter,
    ThreadWriter,
)


@dataclass(frozen=True)
class Op:
    name: int
    size: int = 1


@dataclass
class Log:
    """A store that notes what it is asked; it waits at ``gate`` in each batch."""

    batches: list[list[int]] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    gate: threading.Event = field(default_factory=threading.Event)
    breaks_at: int = -1
    opening: Callable[[], object] = lambda: None
    is_ready: bool = True
    """For batches that must not wait."""
    seconds: float = 0.0
    """What a batch takes, by ``clock``."""
    time: float = 0.0
    is_closed: bool = False
    closing: Callable[[], object] = lambda: None

    def open(self) -> str:
        self.opening()
        if self.breaks_at == 0:
            raise ValueError("cannot open")
        return "found"

    def apply(self, batch: list[Op]) -> None:
        self.gate.wait(5)
        if any(operation.name == self.breaks_at for operation in batch):
            raise ValueError("cannot go on")
        self.time += self.seconds
        self.batches.append([operation.name for operation in batch])
        self.threads.add(threading.get_ident())

    def apply_now(self, batch: list[Op]) -> bool:
        if self.is_ready:
            self.apply(batch)
        return self.is_ready

    def clock(self) -> float:
        return self.time

    def close(self) -> None:
        self.closing()
        self.gate.wait(5)
        self.is_closed = True


def open_log(**options: float) -> Log:
    log = Log(**options)  # type: ignore[arg-type]
    log.gate.set()
    return log


async def test_what_arrives_during_a_commit_shares_the_next() -> None:
    log, done = Log(is_ready=False), list[int]()
    writer = ThreadWriter(log, lambda batch: done.extend(op.name for op in batch), "test")
    assert await writer.start() == "found"
    writer.submit(Op(1))
    writer.submit(Op(2))
    await asyncio.sleep(0)  # the first batch is handed over
    for name in (3, 4, 5):
        writer.submit(Op(name))
        await asyncio.sleep(0)
    assert done == []
    log.gate.set()
    await writer.stop()
    assert log.batches == [[1, 2], [3, 4, 5]]
    assert done == [1, 2, 3, 4, 5]
    assert log.is_closed
    assert threading.get_ident() not in log.threads


async def test_what_a_report_submits_joins_the_next_batch() -> None:
    log = open_log()

    def committed(batch: list[Op]) -> None:
        if batch[0].name == 1:
            asyncio.get_running_loop().call_soon(writer.submit, Op(3))
            writer.submit(Op(2))

    writer = ThreadWriter(log, committed, "test")
    await writer.start()
    writer.submit(Op(1))
    await writer.stop()
    assert log.batches == [[1], [2, 3]]


@pytest.mark.parametrize(
    ("operations", "sizes"),
    [
        ([Op(n) for n in range(1, MAX_BATCH + 3)], [MAX_BATCH, 2]),
        ([Op(n, MAX_BATCH_BYTES) for n in (1, 2, 3)], [1, 1, 1]),
    ],
    ids=["in number", "in bytes"],
)
async def test_a_batch_is_bounded(operations: list[Op], sizes: list[int]) -> None:
    log = open_log()
    writer = ThreadWriter(log, lambda batch: None, "test")
    await writer.start()
    for operation in operations:
        writer.submit(operation)
    await writer.stop()
    assert [len(batch) for batch in log.batches] == sizes


@pytest.mark.parametrize(
    "make",
    [
        lambda log: ThreadWriter(log, lambda batch: None, "test"),
        lambda log: InlineWriter(log, lambda batch: None),
    ],
    ids=["thread", "inline"],
)
async def test_what_opening_raises_leaves_start(
    make: Callable[[Log], ThreadWriter[Op, str] | InlineWriter[Op, str]],
) -> None:
    with pytest.raises(ValueError, match="cannot open"):
        await make(open_log(breaks_at=0)).start()


async def test_a_start_that_is_cancelled_while_the_store_opens_closes_it_again() -> None:
    log, may_open, opens = open_log(), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def opening() -> None:
        loop.call_soon_threadsafe(opens.set)
        may_open.wait(10)

    log.opening = opening
    starting = asyncio.ensure_future(ThreadWriter(log, lambda batch: None, "test").start())
    await opens.wait()
    starting.cancel()
    await asyncio.sleep(0)
    may_open.set()
    async with asyncio.timeout(60):
        with pytest.raises(asyncio.CancelledError):
            await starting
    assert log.is_closed


async def test_a_store_that_cannot_go_on_fails_its_owner() -> None:
    log = open_log(breaks_at=2)
    writer = ThreadWriter(log, lambda batch: None, "test")
    await writer.start()
    writer.submit(Op(1))
    await asyncio.sleep(0)
    writer.submit(Op(2))
    with pytest.raises(ValueError, match="cannot go on"):
        await writer.failed
    await writer.stop()
    assert log.is_closed


async def test_a_report_that_fails_does_not_stop_the_writer() -> None:
    log = open_log()
    reports: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: reports.append(str(context["exception"]))
    )

    def committed(batch: list[Op]) -> None:
        raise RuntimeError(f"bug in {batch[0].name}")

    writer = ThreadWriter(log, committed, "test")
    await writer.start()
    writer.submit(Op(1))
    await asyncio.sleep(0)
    writer.submit(Op(2))
    await writer.stop()
    assert log.batches == [[1], [2]]
    assert reports == ["bug in 1", "bug in 2"]


@asynccontextmanager
async def quick_writer(
    log: Log, seconds: Sequence[float] = ()
) -> AsyncIterator[tuple[ThreadWriter[Op, str], Callable[..., Awaitable[bool]]]]:
    """A writer that has found its store quick, and what commits operations, all in one turn, and
    says whether the loop itself has done it.

    Until it has, commits take ``seconds`` in turn.
    """
    committed = asyncio.Event()
    writer = ThreadWriter(log, lambda batch: committed.set(), "test", clock=log.clock)
    writer.failed.add_done_callback(lambda failed: committed.set())
    await writer.start()

    async def commit(*operations: Op) -> bool:
        committed.clear()
        log.threads.clear()
        for operation in operations:
            writer.submit(operation)
        await asyncio.wait(
            [asyncio.create_task(committed.wait()), writer.failed],
            return_when=asyncio.FIRST_COMPLETED,
        )
        await asyncio.sleep(0)  # the writer is free again
        return threading.get_ident() in log.threads

    try:
        for name in range(300):
            if seconds:
                log.seconds = seconds[name % len(seconds)]
            if await commit(Op(name)):
                break
        else:
            pytest.fail("a quick store was never used on the loop")
        yield writer, commit
    finally:
        if not writer.failed.done() or writer.failed.exception():
            await writer.stop()


async def test_batches_are_committed_on_the_loop_while_the_store_is_quick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "actr_peer.state.storage.writer.QUICK_SECONDS", 5.0
    )  # also on a busy machine
    log = open_log()
    async with quick_writer(log) as (_, commit):
        assert await commit(*(Op(n) for n in range(MAX_BATCH)))
        assert not await commit(Op(1, LOOP_BATCH_BYTES + 1))
        assert not log.is_closed
    assert log.is_closed


async def test_a_commit_that_must_wait_goes_to_the_thread() -> None:
    log = open_log()
    async with quick_writer(log) as (_, commit):
        log.is_ready = False
        assert not await commit(Op(5000))
        assert log.batches[-1] == [5000]


async def test_a_slow_commit_sends_the_next_to_the_thread() -> None:
    log = open_log()
    async with quick_writer(log) as (_, commit):
        log.seconds = 4 * QUICK_SECONDS
        while await commit(Op(1)):
            pass
        log.seconds = 0
        assert not await commit(Op(2))


async def test_a_thread_that_waits_for_the_interpreter_makes_no_slow_store() -> None:
    log = open_log(seconds=10 * QUICK_SECONDS)
    async with quick_writer(log, seconds=[*[10 * QUICK_SECONDS] * (RECENT - 1), 0.0]):
        assert len(log.batches) > RECENT


async def test_a_store_that_was_quick_in_the_thread_and_is_slow_now_is_left_to_it() -> None:
    log = open_log()
    async with quick_writer(log) as (_, commit):
        log.seconds = 40 * QUICK_SECONDS
        for _ in range(3):
            while await commit(Op(1)):
                pass
        assert [await commit(Op(2)) for _ in range(100)] == [False] * 100


async def test_a_slow_store_is_never_used_on_the_loop() -> None:
    log = open_log(seconds=2 * QUICK_SECONDS)
    with pytest.raises(pytest.fail.Exception, match="never"):
        async with quick_writer(log):
            pass


async def test_a_store_that_breaks_on_the_loop_fails_its_owner() -> None:
    log = open_log(breaks_at=5000)
    async with quick_writer(log) as (writer, commit):
        await commit(Op(5000))
        with pytest.raises(ValueError, match="cannot go on"):
            await writer.failed
    assert log.is_closed
    assert log.batches[-1] != [5000]


async def test_nothing_touches_the_store_while_it_closes() -> None:
    log = open_log()
    closing = asyncio.Event()
    loop = asyncio.get_running_loop()
    log.closing = lambda: loop.call_soon_threadsafe(closing.set)
    async with quick_writer(log) as (writer, _):
        log.gate.clear()
        stopping = asyncio.create_task(writer.stop())
        await closing.wait()
        log.threads.clear()
        writer.submit(Op(5000))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        log.gate.set()
        await stopping
        assert log.threads == set()


async def test_the_inline_writer_applies_once_for_each_turn_of_the_loop() -> None:
    log, done = open_log(), list[int]()
    writer = InlineWriter(log, lambda batch: done.extend(op.name for op in batch))
    await writer.start()
    writer.submit(Op(1))
    writer.submit(Op(2))
    assert done == []
    await asyncio.sleep(0)
    assert done == [1, 2]
    writer.submit(Op(3))
    await writer.stop()
    assert log.batches == [[1, 2], [3]]
    assert log.is_closed
