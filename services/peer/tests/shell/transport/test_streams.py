"""Stream channels over two links that hand each other what they send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from actr_peer.errors import (
    BrokenError,
    BusyError,
    CallError,
    ClosedError,
    Code,
    LimitError,
    LocalProtocolError,
    RemoteProtocolError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.streams.chunks import (
    Chunk,
    Credit,
    Kind,
    decode_chunk,
    encode_credit,
)
from actr_peer.protocol.streams.halves import FIRST, WINDOW
from actr_peer.transport import channels
from actr_peer.transport import stream_reader as module
from actr_peer.transport.stream_reader import StreamReader
from peer_kit.streams import HERE, LATENCY_FIRST, RELIABLE, THERE, FakeLink, Pair, turns


@pytest.fixture
def pair() -> Iterator[Pair]:
    return Pair()


async def test_items_come_in_order_and_the_end_ends_the_iteration(pair: Pair):
    writer, reader = pair.channel()
    for number in range(10):
        await writer.send(str(number).encode())
    writer.end()
    assert [chunk.data for chunk in [c async for c in reader]] == [
        str(number).encode() for number in range(10)
    ]


async def test_a_writer_that_its_reader_holds_up_is_counted_once_for_each_wait(pair: Pair):
    writer, reader = pair.channel()
    for _ in range(WINDOW):
        await writer.send(b"x")
    counts = pair.near.counts
    assert counts.stalls == 0
    held_up = asyncio.create_task(writer.send(b"x"))
    await turns(4)
    assert (held_up.done(), counts.stalls) == (False, 1)
    for _ in range(WINDOW):
        await anext(reader)
    await held_up
    assert counts.stalls == 1


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
    writer, reader = pair.channel(credit=None)
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
    pair.far.forget_reader(reader)
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
    reader.deliver(Chunk("c", 2, kind=Kind.END))
    reader.deliver(Chunk("c", 0, b"late"))
    assert [chunk.data async for chunk in reader] == [b"late"]


async def test_a_writer_that_breaks_its_credit_is_stopped(pair: Pair):
    writer, reader = pair.channel(credit=Credit(WINDOW * 2, 0))
    for _ in range(WINDOW + 1):
        await writer.send(b"x")
    await turns()
    with pytest.raises(BrokenError):
        await writer.send(b"x")
    with pytest.raises(LimitError):
        async for _ in reader:
            pass


async def test_items_of_a_channel_that_nobody_reads_stop_their_writer(pair: Pair):
    writer = pair.near.open_writer(pair.near_link, "nobody", RELIABLE, credit=FIRST)
    await writer.send(b"x")
    await turns()
    assert pair.far.counts.unknown == 1
    with pytest.raises(BrokenError):
        await writer.send(b"x")


async def test_losing_the_remote_fails_both_halves(pair: Pair):
    writer, reader = pair.channel()
    error = BrokenError("gone")
    pair.near.fail_link(pair.near_link, error)
    pair.far.fail_link(pair.far_link, error)
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
    pair.near.forget_writer(writer)
    pair.far.forget_reader(reader)
    assert pair.near.open_count == pair.far.open_count == 0
    assert not pair.near._per_remote
    assert not pair.far._per_remote


async def test_a_remote_cannot_open_streams_without_end(pair: Pair, monkeypatch):
    monkeypatch.setattr(channels, "MAX_STREAMS_PER_REMOTE", 2)
    pair.near.open_writer(pair.near_link, "a", RELIABLE, credit=FIRST)
    pair.near.open_writer(pair.near_link, "b", RELIABLE, credit=FIRST)
    with pytest.raises(LimitError):
        pair.near.open_writer(pair.near_link, "d", RELIABLE, credit=FIRST)


async def test_open_halves_are_looked_at_oldest_first_and_no_more_than_asked_for(pair: Pair):
    for name in ("a", "b", "c"):
        pair.near.open_writer(pair.near_link, name, RELIABLE, credit=FIRST, route_key=f"s.{name}")
    writer = pair.near.open_named(pair.near_link, "d", RELIABLE)
    await writer.send(b"item")
    assert [half.channel_id for half in pair.near.view(2)] == ["a", "b"]
    assert [half.route_key for half in pair.near.view(9)] == ["s.a", "s.b", "s.c", ""]
    last = pair.near.view(9)[-1]
    assert (last.remote, last.payload_type) == (pair.near_link.remote, RELIABLE)
    assert (last.is_outbound, last.items) == (True, 1)


async def test_a_reading_half_is_looked_at_with_what_has_come(pair: Pair):
    writer, reader = pair.channel()
    await writer.send(b"item")
    await anext(reader)
    (half,) = pair.far.view(9)
    assert (half.channel_id, half.is_outbound, half.items) == ("c", False, 1)


async def test_a_sending_half_that_is_given_up_is_no_clean_end(pair: Pair):
    writer, reader = pair.channel()
    await writer.send(b"half of it")
    pair.near.forget_writer(writer)
    assert (await anext(reader)).data == b"half of it"
    with pytest.raises(CallError) as ended:
        await anext(reader)
    assert ended.value.code is Code.CANCELLED


# Credit and sequence of what was not sent


async def test_an_item_that_is_too_long_costs_neither_credit_nor_a_number(pair: Pair):
    writer, reader = pair.channel()
    pair.near_link.max_message_bytes = 1000
    for _ in range(WINDOW + 1):
        with pytest.raises(LimitError):
            await writer.send(bytes(2000))
    await writer.send(b"short")
    writer.end()
    assert [(chunk.sequence, chunk.data) async for chunk in reader] == [(0, b"short")]


async def test_an_item_that_is_cancelled_in_the_lane_costs_neither_credit_nor_a_number(pair: Pair):
    writer, reader = pair.channel()
    pair.near_link.room.clear()
    for _ in range(WINDOW + 1):
        sending = asyncio.create_task(writer.send(b"never"))
        await turns(3)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    pair.near_link.room.set()
    await writer.send(b"first")
    writer.end()
    assert [(chunk.sequence, chunk.data) async for chunk in reader] == [(0, b"first")]


async def test_an_item_that_waits_while_its_half_is_ended_is_an_error_to_its_sender(pair: Pair):
    writer, reader = pair.channel()
    pair.near_link.room.clear()
    sending = asyncio.create_task(writer.send(b"too late"))
    await turns()
    writer.end()
    pair.near_link.room.set()
    with pytest.raises(ClosedError):
        await sending
    await turns()
    assert [chunk async for chunk in reader] == []


async def test_items_of_several_tasks_go_in_the_order_of_the_calls(pair: Pair):
    writer, reader = pair.channel(credit=None)
    tasks = [asyncio.create_task(writer.send(bytes([number]))) for number in range(5)]
    await turns()
    reader.grant_first()
    await asyncio.gather(*tasks)
    writer.end()
    assert [chunk.data[0] async for chunk in reader] == list(range(5))


async def test_no_item_overtakes_those_of_other_tasks_that_wait_for_credit(pair: Pair):
    writer, reader = pair.channel()
    count = 4 * WINDOW
    called: list[int] = []
    taken: list[int] = []

    async def send(number: int) -> None:
        called.append(number)
        await writer.send(number.to_bytes(2))

    async def take() -> None:
        while len(taken) < count:
            taken.append(int.from_bytes((await anext(reader)).data))

    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(send(number))
            await turns(1)
            if number == 2 * WINDOW:  # a window of them waits, and others come while it leaves
                tasks.create_task(take())
    assert taken == called


@pytest.mark.parametrize("data", [None, "text", 5, bytearray(b"x"), memoryview(b"x")])
async def test_what_is_no_bytes_is_refused_in_a_sentence_and_costs_nothing(pair: Pair, data: Any):
    writer, reader = pair.channel()
    with pytest.raises(LocalProtocolError, match="an item is bytes, not "):
        await writer.send(data)
    await writer.send(b"y")
    writer.end()
    assert [(chunk.sequence, chunk.data) async for chunk in reader] == [(0, b"y")]


@pytest.mark.parametrize("metadata", [{1: 2}, {"a": "\ud800"}, {"a": "\0"}, [("a", "b")], "ab"])
async def test_metadata_of_an_item_are_texts_as_those_of_a_call_are(pair: Pair, metadata: Any):
    writer, reader = pair.channel()
    with pytest.raises(LocalProtocolError, match="metadata"):
        await writer.send(b"x", metadata)
    await writer.send(b"y")
    writer.end()
    assert [(chunk.sequence, chunk.data) async for chunk in reader] == [(0, b"y")]


async def test_the_end_of_a_stream_without_items_waits_for_a_listener(pair: Pair):
    writer, reader = pair.channel(credit=None)
    writer.end()
    await turns()
    assert pair.near.open_count == 1
    reader.grant_first()
    assert [chunk async for chunk in reader] == []
    assert pair.near.open_count == 0


# Broken rules


async def test_a_gap_fails_the_reader_and_stops_the_writer_and_nothing_else(pair: Pair):
    writer, reader = pair.channel()
    other = pair.far.open_reader(pair.far_link, "other", RELIABLE)
    other.listen()
    await writer.send(b"0")
    writer._credit.sent += 1
    await writer.send(b"2")
    await turns()
    assert (await anext(reader)).data == b"0"
    with pytest.raises(RemoteProtocolError, match="item 2 came, 1 was due"):
        await anext(reader)
    with pytest.raises(BrokenError, match="takes no more"):
        await writer.send(b"3")
    assert pair.far.counts.broken == 1
    other.deliver(Chunk("other", 0, b"fine"))
    assert (await anext(other)).data == b"fine"


async def test_a_grant_of_nothing_is_no_item(pair: Pair):
    _, reader = pair.channel()
    word = decode_chunk(encode_credit("c", Credit(0, 0)))
    pair.far.receive(pair.far_link, RELIABLE, word)
    assert not word.is_item
    assert reader._half.received == 0


async def test_items_before_the_grant_fail_the_stream(pair: Pair):
    _, reader = pair.channel(credit=None)
    pair.far.receive(pair.far_link, RELIABLE, Chunk("c", 0, b"early"))
    reader.grant_first()
    with pytest.raises(RemoteProtocolError):
        await anext(reader)


async def test_another_remote_has_no_word_in_a_channel(pair: Pair):
    writer, reader = pair.channel()
    stranger = FakeLink(ActrId("acme", "stranger", "1"))
    for kind in (Kind.CANCEL, Kind.ERROR, Kind.END, Kind.ITEM):
        chunk = Chunk(
            "c", kind=kind, error=CallError(Code.ABORTED, "x") if kind is Kind.ERROR else None
        )
        pair.near.receive(stranger, RELIABLE, chunk)
        pair.far.receive(stranger, RELIABLE, chunk)
    pair.near.receive(stranger, RELIABLE, Chunk("c", kind=Kind.CREDIT, credit=Credit(5, 5)))
    for _ in range(WINDOW):
        await writer.send(b"x")
    assert not writer._credit.may_send
    writer.end()
    assert len([chunk async for chunk in reader]) == WINDOW


async def test_word_of_another_link_of_the_same_remote_is_not_taken(pair: Pair):
    writer, reader = pair.channel()
    successor = FakeLink(THERE)
    pair.near.receive(successor, RELIABLE, Chunk("c", kind=Kind.CANCEL))
    pair.near.fail_link(successor, BrokenError("another link"))
    pair.far.receive(FakeLink(HERE), RELIABLE, Chunk("c", 0, b"strange"))
    await writer.send(b"x")
    await turns()
    assert (await anext(reader)).data == b"x"


async def test_late_word_about_an_earlier_opening_is_not_taken(pair: Pair):
    earlier = pair.named()
    earlier.end()
    writer = pair.named()
    late = [
        Chunk("c", kind=Kind.CREDIT, credit=Credit(1000, 1000), opening=earlier.opening),
        Chunk("c", kind=Kind.CANCEL, opening=earlier.opening),
    ]
    for word in late:
        pair.near.receive(pair.near_link, RELIABLE, word)
    for _ in range(WINDOW):
        await writer.send(b"x")
    assert not writer._credit.may_send
    assert writer.opening > earlier.opening


async def test_a_channel_has_one_half_of_each_kind_to_one_remote(pair: Pair):
    pair.channel()
    with pytest.raises(BusyError):
        pair.near.open_writer(pair.near_link, "c", RELIABLE, credit=FIRST)
    with pytest.raises(BusyError):
        pair.far.open_reader(pair.far_link, "c", RELIABLE)
    assert (pair.near.open_count, pair.far.open_count) == (1, 1)


@pytest.mark.parametrize("half", ["writer", "reader"])
async def test_nothing_is_said_to_a_process_that_has_restarted(half: str):
    pair = Pair(is_prompt=False)
    if half == "reader":
        pair.far.open_reader(pair.far_link, "c", RELIABLE).listen()
    else:
        pair.far.open_writer(pair.far_link, "c", RELIABLE, credit=FIRST)
    pair.restart_near()
    await turns()
    assert not pair.far_link.queue


async def test_an_item_that_waits_for_room_does_not_go_to_another_process():
    pair = Pair(is_prompt=False)
    pair.near_link.room.clear()
    sending = asyncio.create_task(pair.named().send(b"for the old process"))
    await turns()
    pair.restart_far()
    with pytest.raises(BrokenError):
        await sending
    assert not pair.near_link.queue


async def test_a_chunk_that_cannot_be_read_ends_its_stream_after_what_came(pair: Pair):
    writer, reader = pair.channel()
    await writer.send(b"before")
    await turns()
    pair.far.reject(pair.far_link, "c", 0, RemoteProtocolError("65 entries"))  # type: ignore[arg-type]
    assert (await anext(reader)).data == b"before"
    with pytest.raises(RemoteProtocolError):
        await anext(reader)
    await turns()
    assert writer.is_stopped
    assert pair.far.counts.broken == 1


async def test_items_to_nobody_are_answered_once(pair: Pair):
    writer = pair.named()
    pair.near_link.is_prompt = False
    for _ in range(10):
        await writer.send(b"x")
    pair.far_link.is_prompt = False
    while pair.near_link.queue:
        pair.near_link.deliver()
    assert len(pair.far_link.queue) == 1
    assert pair.far.counts.unknown == 10


async def test_refusals_of_one_remote_push_out_none_of_another(pair: Pair):
    streams, link = pair.far, pair.far_link
    other = FakeLink(ActrId("acme", "other", "1"), is_prompt=False)
    link.is_prompt = False
    streams.receive(link, RELIABLE, Chunk("c", 0, b"x"))
    for number in range(channels.MAX_REMEMBERED + 1):
        streams.receive(other, RELIABLE, Chunk(f"c{number}", 0, b"x"))
    streams.receive(link, RELIABLE, Chunk("c", 1, b"x"))
    assert len(link.queue) == 1
    assert streams.came_early(link.remote, "c")
    assert not streams.came_early(other.remote, "c0")
    assert streams.came_early(other.remote, "c4999")


async def test_a_stream_that_ends_after_its_link_ends_quietly(pair: Pair):
    """The far side leaves while a channel is open, and the link is gone before the halves are."""
    writer, reader = pair.channel()
    for half in (writer, reader):
        half.link.is_shut = True
    writer.end(CallError(Code.CANCELLED, "the handler has ended"))
    reader.fail(BrokenError("the far side closed the link"))
    reader.close()
    assert writer.is_stopped
    with pytest.raises(BrokenError):
        await anext(reader)


async def test_who_takes_nothing_for_longest_loses_its_stream_when_all_hold_too_much(pair: Pair):
    pair.far.budget.max_bytes = 250_000
    stands = pair.far.open_reader(pair.far_link, "stands", RELIABLE)  # type: ignore[arg-type]
    moves = pair.far.open_reader(pair.far_link, "moves", RELIABLE)  # type: ignore[arg-type]
    items = {reader: iter(range(10)) for reader in (stands, moves)}

    def hear(reader: StreamReader) -> None:
        item = Chunk(reader.channel_id, next(items[reader]), bytes(60_000), size=60_000)
        pair.far.receive(pair.far_link, RELIABLE, item)  # type: ignore[arg-type]

    for reader in (moves, stands):
        reader.listen()
        hear(reader)
        hear(reader)
    await anext(moves)
    hear(moves)
    assert stands.held_bytes == moves.held_bytes == 120_000
    hear(moves)
    assert (stands.held_bytes, moves.held_bytes) == (0, 180_000)
    with pytest.raises(LimitError, match="held for all"):
        await anext(stands)
    assert [decode_chunk(word).kind for _, word in pair.far_link.queue] == [Kind.CANCEL]
    pair.far.forget_reader(stands)
    pair.far.forget_reader(moves)
    assert pair.far.budget.held_bytes == 0


# A block that sends


async def test_leaving_the_block_ends_the_stream_behind_items_that_wait(pair: Pair):
    pair.near_link.room.clear()
    reader = pair.far.open_reader(pair.far_link, "c", RELIABLE, opening=1)  # type: ignore[arg-type]
    reader.listen()

    async def fill() -> None:
        async with pair.near.sending(pair.near_link, "c", RELIABLE) as s:  # type: ignore[arg-type]
            others = [asyncio.create_task(s.send(b"%d" % number)) for number in range(3)]
            await turns()
        await asyncio.gather(*others)

    filling = asyncio.create_task(fill())
    await turns()
    assert not filling.done()
    pair.near_link.room.set()
    await filling
    assert [chunk.data async for chunk in reader] == [b"0", b"1", b"2"]
    assert pair.near.open_count == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("none of theirs"), Code.ABORTED),
        (CallError(Code.OUT_OF_RANGE, "for you"), Code.OUT_OF_RANGE),
        (asyncio.CancelledError(), Code.CANCELLED),
    ],
)
async def test_an_error_that_leaves_the_block_is_the_end_of_the_stream(
    pair: Pair, error: BaseException, code: Code
):
    reader = pair.far.open_reader(pair.far_link, "c", RELIABLE, opening=1)  # type: ignore[arg-type]
    reader.listen()

    async def fill() -> None:
        async with pair.near.sending(pair.near_link, "c", RELIABLE) as s:  # type: ignore[arg-type]
            await s.send(b"0")
            raise error

    with pytest.raises(type(error)):
        await fill()
    assert (await anext(reader)).data == b"0"
    with pytest.raises(CallError) as failure:
        await anext(reader)
    assert failure.value.code is code
    assert "theirs" not in str(failure.value)
    assert pair.near.open_count == 0


async def test_leaving_the_block_of_a_stream_that_was_taken_away_is_no_clean_end(pair: Pair):
    async def fill() -> None:
        async with pair.near.sending(pair.near_link, "c", RELIABLE):  # type: ignore[arg-type]
            pair.cut()

    with pytest.raises(BrokenError):
        await fill()
    assert pair.near.open_count == 0
