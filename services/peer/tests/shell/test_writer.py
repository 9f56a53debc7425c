"""Writers: batches in order, one at a time, reported on the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from actr_peer.storage.writer import MAX_BATCH, MAX_BATCH_BYTES, InlineWriter, ThreadWriter


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
    is_closed: bool = False

    def open(self) -> str:
        if self.breaks_at == 0:
            raise ValueError("cannot open")
        return "found"

    def apply(self, batch: list[Op]) -> None:
        self.gate.wait(5)
        if any(operation.name == self.breaks_at for operation in batch):
            raise ValueError("cannot go on")
        self.batches.append([operation.name for operation in batch])
        self.threads.add(threading.get_ident())

    def close(self) -> None:
        self.is_closed = True


def open_log(**options: int) -> Log:
    log = Log(**options)  # type: ignore[arg-type]
    log.gate.set()
    return log


async def test_what_arrives_during_a_commit_shares_the_next() -> None:
    log, done = Log(), list[int]()
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
