"""Stream channels over two links that hand each other what they send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from actr_peer.errors import BrokenError, CallError, ClosedError, Code, LimitError
from actr_peer.protocol.chunks import decode_chunk
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.transport import streams as module
from actr_peer.transport.streams import WINDOW, StreamReader, Streams, StreamWriter

HERE = ActrId("acme", "caller", "1")
THERE = ActrId("acme", "room", "1")
RELIABLE = PayloadType.STREAM_RELIABLE
LATENCY_FIRST = PayloadType.STREAM_LATENCY_FIRST


class FakeLink:
    """A link whose lanes deliver to the other side's streams on the next turn of the loop."""

    def __init__(self, remote: ActrId) -> None:
        self.remote = remote
        self.far: tuple[FakeLink, Streams] | None = None

    def lane(self, payload_type: PayloadType) -> FakeLane:
        return FakeLane(self, payload_type)


class FakeLane:
    def __init__(self, link: FakeLink, payload_type: PayloadType) -> None:
        self.link = link
        self.payload_type = payload_type

    async def send(self, message: bytes) -> None:
        self.post(message)

    def post(self, message: bytes) -> None:
        assert self.link.far is not None
        link, streams = self.link.far
        asyncio.get_running_loop().call_soon(
            streams.receive, link, self.payload_type, decode_chunk(message)
        )


class Pair:
    def __init__(self) -> None:
        self.near, self.far = Streams(), Streams()
        self.near_link, self.far_link = FakeLink(THERE), FakeLink(HERE)
        self.near_link.far = (self.far_link, self.far)
        self.far_link.far = (self.near_link, self.near)

    def channel(
        self, payload_type: PayloadType = RELIABLE, credit: int = WINDOW
    ) -> tuple[StreamWriter, StreamReader]:
        writer = self.near.open_writer(self.near_link, "c", payload_type, credit=credit)
        reader = self.far.open_reader(self.far_link, "c", payload_type)
        return writer, reader


@pytest.fixture
def pair() -> Iterator[Pair]:
    return Pair()


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_items_come_in_order_and_the_end_ends_the_iteration(pair: Pair):
    writer, reader = pair.channel()
    for number in range(10):
        await writer.send(str(number).encode())
    writer.end()
    assert [chunk.data for chunk in [c async for c in reader]] == [
        str(number).encode() for number in range(10)
    ]


async def test_a_writer_without_credit_waits_until_items_are_taken(pair: Pair):
    writer, reader = pair.channel()

    async def produce() -> None:
        for number in range(WINDOW * 3):
            await writer.send(bytes([number]))
        writer.end()

    producer = asyncio.create_task(produce())
    await turns(WINDOW * 4)
    assert writer.sent == WINDOW
    received = [chunk.data[0] async for chunk in reader]
    assert received == list(range(WINDOW * 3))
    await producer


async def test_a_writer_waits_for_the_far_side_to_listen_before_its_first_item(pair: Pair):
    writer, reader = pair.channel(credit=0)
    sending = asyncio.create_task(writer.send(b"x"))
    await turns()
    assert not sending.done()
    reader.grant_first()
    await sending
    await turns()
    assert (await anext(reader)).data == b"x"


async def test_an_error_comes_after_the_items_before_it(pair: Pair):
    writer, reader = pair.channel()
    await writer.send(b"1")
    writer.end(CallError(Code.ABORTED, "no more"))
    assert (await anext(reader)).data == b"1"
    with pytest.raises(CallError, match="no more"):
        await anext(reader)


async def test_a_reader_that_closes_stops_the_writer(pair: Pair):
    writer, reader = pair.channel()
    stopped: list[Exception] = []
    writer.on_stop = stopped.append
    pair.far.forget_reader(HERE, reader)
    await turns()
    with pytest.raises(BrokenError, match="takes no more"):
        await writer.send(b"x")
    assert len(stopped) == 1


async def test_a_slow_latency_first_reader_loses_the_oldest_and_counts_them(pair: Pair):
    writer, reader = pair.channel(LATENCY_FIRST)
    for number in range(WINDOW + 10):
        await writer.send(bytes([number]))
    writer.end()
    await turns()
    assert reader.dropped == 10
    received = [chunk.data[0] async for chunk in reader]
    assert received == list(range(10, WINDOW + 10))


async def test_the_end_of_a_latency_first_stream_waits_for_items_that_it_overtook(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "LINGER", 0.01)
    _, reader = pair.channel(LATENCY_FIRST)
    from actr_peer.protocol.chunks import Chunk

    reader.deliver(Chunk("c", 2, is_end=True))
    reader.deliver(Chunk("c", 0, b"late"))
    assert [chunk.data async for chunk in reader] == [b"late"]


async def test_a_writer_that_breaks_its_credit_is_stopped(pair: Pair):
    writer, reader = pair.channel(credit=WINDOW * 2)
    for _ in range(WINDOW + 1):
        await writer.send(b"x")
    await turns()
    with pytest.raises(BrokenError):
        await writer.send(b"x")
    with pytest.raises(LimitError):
        async for _ in reader:
            pass


async def test_items_of_a_channel_that_nobody_reads_stop_their_writer(pair: Pair):
    writer = pair.near.open_writer(pair.near_link, "nobody", RELIABLE, credit=WINDOW)
    await writer.send(b"x")
    await turns()
    assert pair.far.counts.unknown == 1
    with pytest.raises(BrokenError):
        await writer.send(b"x")


async def test_losing_the_remote_fails_both_halves(pair: Pair):
    writer, reader = pair.channel()
    error = BrokenError("gone")
    pair.near.fail_remote(THERE, error)
    pair.far.fail_remote(HERE, error)
    with pytest.raises(BrokenError):
        await writer.send(b"x")
    with pytest.raises(BrokenError):
        await anext(reader)


async def test_an_ended_half_sends_nothing_more(pair: Pair):
    writer, _ = pair.channel()
    writer.end()
    with pytest.raises(ClosedError):
        await writer.send(b"x")


async def test_forgotten_channels_leave_nothing(pair: Pair):
    writer, reader = pair.channel()
    pair.near.forget_writer(THERE, writer)
    pair.far.forget_reader(HERE, reader)
    assert pair.near.open_count == pair.far.open_count == 0
    assert not pair.near._per_remote
    assert not pair.far._per_remote


async def test_a_remote_cannot_open_streams_without_end(pair: Pair, monkeypatch):
    monkeypatch.setattr(module, "MAX_STREAMS_PER_REMOTE", 2)
    pair.near.open_writer(pair.near_link, "a", RELIABLE, credit=1)
    pair.near.open_writer(pair.near_link, "b", RELIABLE, credit=1)
    with pytest.raises(LimitError):
        pair.near.open_writer(pair.near_link, "d", RELIABLE, credit=1)


async def test_a_sending_half_that_is_given_up_is_no_clean_end(pair: Pair):
    writer, reader = pair.channel()
    await writer.send(b"half of it")
    pair.near.forget_writer(THERE, writer)
    assert (await anext(reader)).data == b"half of it"
    with pytest.raises(CallError) as ended:
        await anext(reader)
    assert ended.value.code is Code.CANCELLED
