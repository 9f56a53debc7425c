"""Streams that come in, taken by iterating."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from actr_peer.actor.subscribers.incoming import IncomingStream, IncomingStreams
from actr_peer.actor.subscribers.streams import MAX_OPENINGS, StreamSubscribers
from actr_peer.errors import (
    BrokenError,
    BusyError,
    CallError,
    ClosedError,
    Code,
    LimitError,
    LocalProtocolError,
    StreamFailedError,
)
from actr_peer.protocol.streams.halves import WINDOW
from peer_kit.streams import HERE, LATENCY_FIRST, Block, Pair, turns


class Taking:
    """Bob iterates over the channel c, whose items Ada sends."""

    def __init__(self) -> None:
        self.pair = Pair()
        self.subscribers: StreamSubscribers = self.pair.subscribe(Block().start)

    def streams(self, name: str = "c") -> IncomingStreams:
        return IncomingStreams(partial(self.subscribers.admit, name))

    async def one(self, streams: IncomingStreams, *texts: bytes) -> IncomingStream:
        writer = self.writer = self.pair.named()
        for text in texts:
            await writer.send(text)
        return await anext(streams)

    def assert_nothing_is_left(self) -> None:
        assert self.pair.far.open_count == 0
        assert not self.subscribers._takers


@pytest.fixture
def taking() -> Taking:
    return Taking()


async def test_each_stream_says_its_sender_and_a_clean_end_ends_its_iteration(taking: Taking):
    async with taking.streams() as streams:
        for text in (b"a", b"b"):
            stream = await taking.one(streams, text, text)
            taking.writer.end()
            assert [chunk.data async for chunk in stream] == [text, text]
            assert (stream.sender, stream.channel_id, stream.last_sequence) == (HERE, "c", 1)
            assert stream.is_over
    assert taking.pair.near.open_count == 0
    taking.assert_nothing_is_left()


async def test_an_error_of_the_sender_comes_behind_its_items_with_the_last_sequence(
    taking: Taking,
):
    async with taking.streams() as streams:
        stream = await taking.one(streams, b"0", b"1")
        taking.writer.end(CallError(Code.ABORTED, "enough"))
        assert [(await anext(stream)).data, (await anext(stream)).data] == [b"0", b"1"]
        with pytest.raises(StreamFailedError, match="after item 1") as failure:
            await anext(stream)
    assert (failure.value.channel_id, failure.value.last_sequence) == ("c", 1)
    assert isinstance(failure.value.reason, CallError)
    taking.assert_nothing_is_left()


async def test_a_reset_comes_behind_the_items_with_the_last_sequence(taking: Taking):
    async with taking.streams() as streams:
        stream = await taking.one(streams, b"0", b"1")
        await turns()
        taking.pair.restart_near()
        assert (await anext(stream)).data == b"0"
        assert (await anext(stream)).data == b"1"
        with pytest.raises(StreamFailedError) as failure:
            await anext(stream)
        assert failure.value.last_sequence == 1
        assert isinstance(failure.value.reason, BrokenError)


async def test_a_stream_that_failed_before_its_first_item_says_so():
    assert "before its first item" in str(StreamFailedError("c", -1, BrokenError("gone")))


async def test_leaving_the_block_ends_all_at_once_and_tells_the_senders(taking: Taking):
    async with taking.streams() as streams:
        stream = await taking.one(streams, b"0", b"held")
        await anext(stream)
        waiting = asyncio.create_task(anext(streams))
        await turns()
    with pytest.raises(StopAsyncIteration):
        await waiting
    with pytest.raises(ClosedError):
        await anext(stream)
    await turns()
    with pytest.raises(BrokenError):
        await taking.writer.send(b"more")
    taking.assert_nothing_is_left()


async def test_each_of_several_tasks_gets_a_stream_and_all_hear_of_the_end_of_the_block(
    taking: Taking,
):
    async with taking.streams() as streams:
        waiting = [asyncio.create_task(anext(streams)) for _ in range(3)]
        await turns()
        for name in ("first", "second"):
            writer = taking.pair.named()
            await writer.send(name.encode())
            writer.end()
        taken = [await waiting[0], await waiting[1]]
        assert [(await anext(stream)).data for stream in taken] == [b"first", b"second"]
    with pytest.raises(StopAsyncIteration):
        await waiting[2]


async def test_a_second_task_on_one_stream_is_told_and_the_first_loses_nothing(taking: Taking):
    async with taking.streams() as streams:
        stream = await taking.one(streams, b"0")
        await anext(stream)
        first = asyncio.create_task(anext(stream))
        await turns()
        with pytest.raises(LocalProtocolError, match="two tasks take items of stream 'c'"):
            await anext(stream)
        await taking.writer.send(b"1")
        assert (await first).data == b"1"
        first = asyncio.create_task(anext(stream))
        await turns()
        first.cancel()  # who has left is in nobody's way
        await turns()
        await taking.writer.send(b"2")
        assert (await anext(stream)).data == b"2"


async def test_one_who_waits_for_an_item_when_the_block_is_left_is_told_no_clean_end(
    taking: Taking,
):
    async with taking.streams() as streams:
        stream = await taking.one(streams, b"0")
        await anext(stream)
        waiting = asyncio.create_task(anext(stream))
        await turns()
    with pytest.raises(ClosedError):
        await waiting


async def test_the_end_of_the_actor_is_told_to_who_waits_for_streams(taking: Taking):
    async with taking.streams() as streams:
        first = await taking.one(streams, b"0")
        waiting = [asyncio.create_task(anext(streams)) for _ in range(2)]
        await turns()
        taking.subscribers.close(ClosedError("the actor is closed"))
        for each in waiting:
            with pytest.raises(ClosedError, match="the actor is closed"):
                await each
        assert (await anext(first)).data == b"0"  # its own link says when it is over
    with pytest.raises(ClosedError, match="the actor is closed"):
        await taking.streams("d").__aenter__()
    with pytest.raises(ClosedError, match="the actor is closed"):
        taking.subscribers.register("d", lambda chunk, sender: None)


async def test_who_has_not_entered_the_block_is_told_so(taking: Taking):
    with pytest.raises(LocalProtocolError, match="enter the block first"):
        await anext(taking.streams())


async def test_one_stream_is_closed_and_the_others_go_on(taking: Taking):
    async with taking.streams() as streams:
        stream = await taking.one(streams, b"0")
        stream.close()
        stream.close()
        await turns()
        assert taking.writer.is_stopped
        again = await taking.one(streams, b"1")
        assert (await anext(again)).data == b"1"
    taking.assert_nothing_is_left()


async def test_closing_what_has_ended_is_no_error_to_who_iterates(taking: Taking):
    async with taking.streams() as streams:
        stream = await taking.one(streams, b"0")
        taking.writer.end()
        assert len([chunk async for chunk in stream]) == 1
        stream.close()
        assert [chunk async for chunk in stream] == []


async def test_who_comes_second_is_refused_and_next_to_who_has_left_is_not(taking: Taking):
    async with taking.streams() as first:
        with pytest.raises(BusyError, match="unregister that first"):
            await taking.streams().__aenter__()
        with pytest.raises(BusyError):
            taking.subscribers.register("c", print)
        await taking.one(first, b"0")
    async with taking.streams() as second:
        await turns()
        stream = await taking.one(second, b"next")
        assert (await anext(stream)).data == b"next"
    with pytest.raises(LimitError):
        await taking.streams("x" * 65).__aenter__()


async def test_streams_that_nobody_takes_are_bounded(taking: Taking):
    async with taking.streams():
        for _ in range(MAX_OPENINGS):
            writer = taking.pair.named()
            await writer.send(b"x")
            writer.end()
        writer = taking.pair.named()
        await writer.send(b"one too many")
        await turns(WINDOW)
        assert writer.is_stopped
        assert taking.pair.far.counts.refused == 1
    taking.assert_nothing_is_left()


async def test_items_that_are_too_old_are_dropped_here_and_counted(
    taking: Taking, monkeypatch: pytest.MonkeyPatch
):
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    async with taking.streams() as streams:
        writer = taking.pair.named(LATENCY_FIRST)
        await writer.send(b"fresh")
        stream = await anext(streams)
        first = await anext(stream)
        assert (first.data, first.age) == (b"fresh", pytest.approx(0.0, abs=1e-4))
        await writer.send(b"on its way when the process stood still")
        now += 3.0
        await writer.send(b"behind it")
        await turns()
        now += 0.05
        second = await anext(stream)
        assert (second.data, second.age) == (b"behind it", pytest.approx(0.05, abs=1e-3))
        assert (stream.stale, stream.dropped) == (1, 0)
        await writer.send(b"taken too late")
        await turns()
        now += 0.4
        writer.end()
        await turns()
        assert [chunk async for chunk in stream] == []
        assert stream.stale == 2
    assert taking.pair.far.counts.stale == 2
    assert repr(stream) == "<IncomingStream 'c' of acme:caller@1:default>"
