from __future__ import annotations

import asyncio
import threading

import pytest

from actr_peer.state.worker import Worker


async def test_work_is_done_in_order_in_one_thread_and_the_end_comes_last() -> None:
    worker, done = Worker("disk"), []
    threads = {await worker.run(threading.current_thread) for _ in range(2)}
    gate = threading.Event()
    first = worker.run(gate.wait)
    second = worker.run(done.append, "write")
    closed = worker.close(lambda: done.append("close"))
    gate.set()
    await asyncio.gather(first, second, closed)
    assert done == ["write", "close"]
    assert [each.name.startswith("disk") for each in threads] == [True]


async def test_what_nobody_waits_for_any_longer_is_done_all_the_same() -> None:
    worker, done = Worker(), []
    gate = threading.Event()
    worker.run(gate.wait)
    given_up = worker.run(done.append, "write")
    given_up.cancel()
    closed = worker.close(lambda: done.append("close"))
    gate.set()
    await closed
    assert done == ["write", "close"]


async def test_closing_twice_closes_once_and_nothing_is_taken_after_it() -> None:
    worker, done = Worker(), []
    assert worker.close(lambda: done.append(1)) is worker.close(lambda: done.append(2))
    await worker.close(lambda: None)
    assert done == [1]
    with pytest.raises(RuntimeError):
        worker.run(print)
