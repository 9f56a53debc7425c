"""Streams of objects inside the process: who waits for whom, and who hears of an end."""

from __future__ import annotations

import asyncio

import pytest

from actr.demo import chat_pb2 as pb
from actr_peer.errors import BrokenError, CallError, Code
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.streams.pipe import FIRST_WINDOW, WINDOW
from actr_peer.transport.local.pipes import LocalPipe
from actr_peer.transport.local.turnstile import A_TURN, Turnstile

Line = pb.ChatMessage


def pipe_of(payload_type: PayloadType = PayloadType.STREAM_RELIABLE) -> LocalPipe[Line]:
    return LocalPipe(payload_type, Turnstile())


async def fill(pipe: LocalPipe[Line], count: int = WINDOW) -> None:
    for number in range(count):
        await pipe.send(Line(number=number))


async def test_the_very_objects_arrive_in_order() -> None:
    pipe, lines = pipe_of(), [Line(number=number) for number in range(3)]
    for line in lines:
        await pipe.send(line)
    pipe.end()
    taken = [line async for line in pipe]
    assert all(one is other for one, other in zip(taken, lines, strict=True))


async def test_a_slow_reader_holds_up_its_writer() -> None:
    pipe = pipe_of()
    writing = asyncio.ensure_future(fill(pipe, WINDOW + 2))
    for _ in range(4):  # its turn comes, though nobody reads
        await asyncio.sleep(0)
    assert (len(pipe), writing.done()) == (WINDOW, False)
    taken = [(await anext(pipe)).number for _ in range(WINDOW + 2)]
    await writing
    assert taken == list(range(WINDOW + 2))
    assert pipe.dropped == 0


async def test_a_latency_first_stream_drops_its_oldest_item_and_counts_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipe, loop = pipe_of(PayloadType.STREAM_LATENCY_FIRST), asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)  # none is too old, however slow the machine
    await fill(pipe, WINDOW + 5)
    pipe.end()
    assert [line.number async for line in pipe] == list(range(5, WINDOW + 5))
    assert pipe.dropped == 5


async def test_a_latency_first_item_that_is_too_old_is_not_handed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipe, loop = pipe_of(PayloadType.STREAM_LATENCY_FIRST), asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    await fill(pipe, 3)
    now += 0.11
    await pipe.send(Line(number=9))
    pipe.end()
    assert [line.number async for line in pipe] == [9]
    assert pipe.dropped == 3


async def test_a_writer_that_waits_hears_that_its_reader_has_left() -> None:
    pipe, told = pipe_of(), []
    pipe.on_stop = lambda: told.append("stop")
    await fill(pipe)
    writing = asyncio.ensure_future(pipe.send(Line()))
    await asyncio.sleep(0)
    pipe.close()
    pipe.close()
    with pytest.raises(BrokenError):
        await writing
    assert told == ["stop"]


async def test_a_reader_that_waits_hears_of_an_error_after_the_items() -> None:
    pipe = pipe_of()
    await pipe.send(Line(number=7))
    assert (await anext(pipe)).number == 7
    reading = asyncio.ensure_future(anext(pipe))
    await asyncio.sleep(0)
    pipe.end(CallError(Code.ABORTED, "no more"))
    with pytest.raises(CallError, match="no more"):
        await reading


async def test_a_reader_whose_time_is_over_stops_its_writer() -> None:
    pipe, told = pipe_of(), []
    pipe.on_stop = lambda: told.append("stop")
    await pipe.send(Line(number=7))
    pipe.fail(TimeoutError())
    assert told == ["stop"]
    assert (await anext(pipe)).number == 7
    with pytest.raises(TimeoutError):
        await anext(pipe)


async def test_a_sender_that_is_cancelled_while_it_waits_sends_nothing() -> None:
    pipe = pipe_of()
    await fill(pipe)
    writing = asyncio.ensure_future(pipe.send(Line(number=999)))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    pipe.end()
    assert [line.number async for line in pipe] == list(range(WINDOW))


async def test_writers_fill_their_streams_few_in_a_turn_of_the_loop() -> None:
    """Else all items of thousands would be there at once, and the loop do nothing else."""
    turnstile = Turnstile()
    pipes = [LocalPipe[Line](PayloadType.STREAM_RELIABLE, turnstile) for _ in range(3 * A_TURN)]
    writing = [asyncio.ensure_future(fill(pipe, 4 * WINDOW)) for pipe in pipes]

    async def read(pipe: LocalPipe[Line]) -> list[int]:
        return [(await anext(pipe)).number for _ in range(4 * WINDOW)]

    reading = [asyncio.ensure_future(read(pipe)) for pipe in pipes]
    most = 0
    while not all(task.done() for task in reading):
        await asyncio.sleep(0)
        most = max(most, sum(map(len, pipes)))
    assert most <= len(pipes) * FIRST_WINDOW + 2 * A_TURN * WINDOW
    assert await asyncio.gather(*reading) == [list(range(4 * WINDOW))] * len(pipes)
    await asyncio.gather(*writing)
