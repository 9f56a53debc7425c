"""Callbacks by channel id: openings in line, unregistering, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from actr_peer.actor.subscribers.lines import StreamEnd
from actr_peer.actor.subscribers.streams import MAX_OPENINGS
from actr_peer.errors import (
    BrokenError,
    BusyError,
    CallError,
    Code,
    LimitError,
    LocalProtocolError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.streams.chunks import (
    Chunk,
    Kind,
    decode_chunk,
    encode_item,
)
from actr_peer.protocol.streams.halves import WINDOW
from actr_peer.transport import channels
from actr_peer.transport import stream_reader as module
from peer_kit.streams import LATENCY_FIRST, RELIABLE, Block, FakeLink, Pair, turns


@pytest.fixture
def pair() -> Iterator[Pair]:
    return Pair()


@pytest.mark.parametrize("channel_id", ["", "x" * 65], ids=["empty", "65 characters"])
async def test_a_channel_id_out_of_bounds_is_refused_here(pair: Pair, channel_id: str):
    with pytest.raises((LimitError, LocalProtocolError)):
        pair.named(name=channel_id)
    with pytest.raises((LimitError, LocalProtocolError)):
        pair.subscribe(Block().start).register(channel_id, print)
    assert pair.near.open_count == 0


class Listener:
    """A callback on the channel c, which holds items back until it is let go."""

    def __init__(self, pair: Pair) -> None:
        self.block = Block()
        self.subscribers = pair.subscribe(self.block.start)
        self.heard: list[bytes] = []
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.unregister = self.subscribers.register("c", self.take)

    async def take(self, chunk: Chunk, sender: object) -> None:
        await self.may_go.wait()
        self.heard.append(chunk.data)


async def test_a_channel_that_is_ended_and_opened_again_loses_nothing(pair: Pair):
    listener = Listener(pair)
    listener.may_go.clear()
    sent = []
    for part in range(3):
        writer = pair.named()
        for number in range(WINDOW):
            await writer.send(bytes([part, number]))
            sent.append(bytes([part, number]))
        writer.end()
    await turns(WINDOW * 4)
    listener.may_go.set()
    await turns(WINDOW * 8)
    assert listener.heard == sent
    assert pair.near.open_count == pair.far.open_count == 0
    assert not listener.block.tasks


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, GeneratorExit, SystemExit])
async def test_a_callback_that_fails_loses_that_item_alone(
    pair: Pair, failure: type[BaseException]
):
    heard: list[bytes] = []
    ends: list[StreamEnd] = []

    async def take(chunk: Chunk, sender: object) -> None:
        heard.append(chunk.data)
        if chunk.sequence == 1:
            raise failure

    block = Block()
    pair.subscribe(block.start).register("c", take, lambda end, sender: ends.append(end))
    writer = pair.named()
    for text in (b"0", b"1", b"2"):
        await writer.send(text)
    writer.end()
    await turns()
    assert heard == [b"0", b"1", b"2"]
    assert ends == [StreamEnd("c", 2)]
    assert not block.tasks


async def test_credit_for_an_earlier_opening_is_not_spent_by_a_later_one(pair: Pair):
    pair.near_link.is_prompt = pair.far_link.is_prompt = False
    listener = Listener(pair)
    first = pair.named()
    for _ in range(WINDOW // 2):
        await first.send(b"1")
    while pair.near_link.queue:
        pair.near_link.deliver()
    await turns(WINDOW * 2)  # all is taken, and two grants are on their way
    assert len(pair.far_link.queue) == 2
    listener.may_go.clear()
    first.end()
    second = pair.named()
    while pair.far_link.queue:
        pair.far_link.deliver()
    for _ in range(WINDOW):
        await second.send(b"2")
    assert not second._credit.may_send
    while pair.near_link.queue:
        pair.near_link.deliver()
    assert pair.far.counts.broken == 0
    listener.unregister()
    listener.may_go.set()


async def test_a_channel_opened_in_the_turn_in_which_the_last_one_is_over_is_heard():
    pair = Pair(is_prompt=False)
    heard: list[bytes] = []
    block = Block()
    subscribers = pair.subscribe(block.start)
    subscribers.register("c", lambda chunk, sender: heard.append(chunk.data))
    for count in range(8):
        # At each distance from the end: in the turn before the worker ends, in that, and after.
        heard.clear()
        first = pair.named()
        await first.send(b"first")
        first.end()
        pair.near_link.deliver()
        pair.near_link.deliver()
        await turns(count)
        second = pair.named()
        await second.send(b"second")
        pair.near_link.deliver()
        await turns()
        assert heard == [b"first", b"second"]
        second.end()
        pair.near_link.deliver()
        await turns()
    assert pair.near.open_count == pair.far.open_count == 0


async def test_the_channel_of_a_process_that_has_restarted_is_none_of_its_predecessor():
    pair = Pair()
    heard: list[bytes] = []
    subscribers = pair.subscribe(Block().start)
    subscribers.register("c", lambda chunk, sender: heard.append(chunk.data))
    await pair.named().send(b"before")
    await turns()
    pair.restart_near()
    writer = pair.named()
    for number in range(3 * WINDOW):
        await asyncio.wait_for(writer.send(b"%d" % number), 5)
    writer.end()
    await turns(4 * WINDOW)
    assert heard == [b"before", *(b"%d" % number for number in range(3 * WINDOW))]
    assert pair.far.open_count == pair.near.open_count == 0


async def test_an_opening_that_was_left_without_an_end_does_not_hold_up_the_next(pair: Pair):
    heard: list[bytes] = []
    block = Block()
    subscribers = pair.subscribe(block.start)
    subscribers.register("c", lambda chunk, sender: heard.append(chunk.data))
    for opening in (1, 2):
        item = encode_item("c", 0, b"%d" % opening, opening=opening)
        pair.far.receive(pair.far_link, RELIABLE, decode_chunk(item))  # type: ignore[arg-type]
    await turns()
    assert heard == [b"1", b"2"]
    assert pair.far.open_count == 1


async def test_ended_channels_do_not_use_up_the_bound(pair: Pair):
    subscribers = pair.subscribe(Block().start)
    subscribers.register("c", lambda chunk, sender: None)
    for _ in range(10_000):
        writer = pair.named()
        await writer.send(b"one")
        writer.end()
        await turns(5)
    await turns()
    assert pair.near.open_count == pair.far.open_count == 0


async def test_a_channel_has_one_writer_at_a_time(pair: Pair):
    Listener(pair)
    writer = pair.named()
    with pytest.raises(BusyError):
        pair.named()
    writer.end()
    pair.named().end()


async def test_openings_of_one_channel_that_wait_for_a_slow_callback_are_bounded(pair: Pair):
    listener = Listener(pair)
    listener.may_go.clear()
    for _ in range(MAX_OPENINGS):
        writer = pair.named()
        await writer.send(b"x")
        writer.end()
    await turns(WINDOW)
    writer = pair.named()
    await writer.send(b"one too many")
    await turns()
    with pytest.raises(BrokenError):
        await writer.send(b"more")
    assert pair.far.counts.refused == 1
    listener.may_go.set()
    await turns(WINDOW)
    assert listener.heard == [b"x"] * MAX_OPENINGS


async def test_a_remote_with_too_many_halves_is_refused_a_named_channel_and_keeps_its_link(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(channels, "MAX_STREAMS_PER_REMOTE", 2)
    Listener(pair)
    for name in "ab":
        pair.far.open_reader(pair.far_link, name, RELIABLE)
    writer = pair.named()
    await writer.send(b"x")
    await turns()
    with pytest.raises(BrokenError):
        await writer.send(b"y")
    assert pair.far.counts.refused == 1
    assert pair.far.open_count == 2


async def test_unregistering_stops_those_who_send(pair: Pair):
    listener = Listener(pair)
    writer = pair.named()
    await writer.send(b"x")
    await turns()
    listener.unregister()
    await turns()
    with pytest.raises(BrokenError):
        await writer.send(b"y")
    assert not listener.block.tasks
    assert pair.far.open_count == 0


async def test_late_items_of_a_latency_first_channel_begin_no_other(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "LINGER", 0.0)
    listener = Listener(pair)
    writer = pair.named(LATENCY_FIRST)
    late = encode_item("c", 1, b"late", opening=writer.opening)
    await writer.send(b"in time")
    writer._credit.sent = 2
    writer.end()
    await turns()
    async with asyncio.timeout(60):
        while pair.far.open_count or listener.block.tasks:  # noqa: ASYNC110
            await asyncio.sleep(0)
    pair.far.receive(pair.far_link, LATENCY_FIRST, decode_chunk(late))
    assert pair.far.open_count == 0
    assert pair.far.counts.unknown == 1


async def test_the_end_of_a_latency_first_channel_that_overtakes_all_items_leaves_nothing(
    pair: Pair,
):
    Listener(pair)
    pair.far.receive(pair.far_link, RELIABLE, Chunk("c", 1, kind=Kind.END, opening=7))
    pair.far.receive(pair.far_link, LATENCY_FIRST, Chunk("c", 0, b"late", opening=7))
    assert pair.far.open_count == 0
    pair.far.receive(pair.far_link, LATENCY_FIRST, Chunk("c", 0, b"next", opening=8))
    assert pair.far.open_count == 1


async def test_a_writer_that_numbers_no_openings_is_understood(pair: Pair):
    listener = Listener(pair)
    for text in (b"1", b"2"):
        pair.far.receive(pair.far_link, RELIABLE, Chunk("c", 0, text))
        pair.far.receive(pair.far_link, RELIABLE, Chunk("c", 1, kind=Kind.END))
    await turns()
    assert listener.heard == [b"1", b"2"]


async def test_openings_of_one_remote_push_out_none_of_another(pair: Pair):
    Listener(pair)
    streams, link = pair.far, pair.far_link
    other = FakeLink(ActrId("acme", "other", "1"), is_prompt=False)
    streams.receive(link, RELIABLE, Chunk("c", 1, kind=Kind.END, opening=7))
    for number in range(5000):
        streams.receive(other, RELIABLE, Chunk(f"c{number}", 1, kind=Kind.END, opening=7))
    streams.receive(link, LATENCY_FIRST, Chunk("c", 0, b"late", opening=7))
    assert streams.open_count == 0


# How it ended


class Ends:
    """A callback that hears of items and ends, in the order in which it does."""

    def __init__(self, pair: Pair) -> None:
        self.block = Block()
        self.heard: list[bytes | StreamEnd] = []
        self.unregister = pair.subscribe(self.block.start).register(
            "c",
            lambda chunk, sender: self.heard.append(chunk.data),
            lambda end, sender: self.heard.append(end),
        )


async def test_a_clean_end_is_told_behind_the_last_item(pair: Pair):
    ends = Ends(pair)
    for text in (b"1", b"2"):
        writer = pair.named()
        await writer.send(text)
        writer.end()
    await turns(20)
    assert ends.heard == [b"1", StreamEnd("c", 0), b"2", StreamEnd("c", 0)]


async def test_an_error_of_the_sender_is_told_with_the_last_sequence(pair: Pair):
    ends = Ends(pair)
    writer = pair.named()
    await writer.send(b"0")
    await writer.send(b"1")
    writer.end(CallError(Code.ABORTED, "enough"))
    await turns(20)
    last = ends.heard[-1]
    assert isinstance(last, StreamEnd)
    assert (ends.heard[:2], last.last_sequence) == ([b"0", b"1"], 1)
    assert isinstance(last.error, CallError)
    assert last.error.code is Code.ABORTED


async def test_a_reset_is_told_with_the_last_sequence_behind_all_that_came(pair: Pair):
    ends = Ends(pair)
    writer = pair.named()
    for number in range(5):
        await writer.send(b"%d" % number)
    while pair.near_link.queue:
        pair.near_link.deliver()
    pair.restart_near()
    await turns(20)
    last = ends.heard[-1]
    assert isinstance(last, StreamEnd)
    assert last.last_sequence == 4
    assert isinstance(last.error, BrokenError)
    assert ends.heard[:5] == [b"%d" % number for number in range(5)]


async def test_what_unregistered_hears_neither_of_items_that_wait_nor_of_the_end(pair: Pair):
    ends = Ends(pair)
    writer = pair.named()
    await writer.send(b"1")
    await turns(20)
    for _ in range(3):
        await writer.send(b"held")
    pair.near_link.deliver()
    ends.unregister()
    ends.unregister()
    writer.end()
    await turns(20)
    assert ends.heard == [b"1"]
    assert not ends.block.tasks
    assert pair.far.open_count == 0


async def test_who_registers_next_does_not_wait_for_a_call_of_the_last(pair: Pair):
    listener = Listener(pair)
    listener.may_go.clear()
    writer = pair.named()
    await writer.send(b"stuck")
    await writer.send(b"held")
    await turns(20)
    listener.unregister()
    heard: list[bytes] = []
    listener.subscribers.register("c", lambda chunk, sender: heard.append(chunk.data))
    await turns(20)
    assert writer.is_stopped
    await pair.named().send(b"next")
    await turns(20)
    assert heard == [b"next"]
    listener.may_go.set()
    await turns(20)
    assert listener.heard == [b"stuck"]


async def test_ten_thousand_streams_opened_and_ended_leave_nothing(pair: Pair):
    subscribers = pair.subscribe(Block().start)
    before = len(asyncio.all_tasks())
    for number in range(10_000):
        name = f"c{number % 100}"
        unregister = subscribers.register(name, lambda chunk, sender: None)
        writer = pair.named(LATENCY_FIRST if number % 2 else RELIABLE, name=name)
        await writer.send(b"x")
        writer.end()
        await turns(5)
        unregister()
    await turns(20)
    for streams in (pair.near, pair.far):
        sizes = {
            name: len(each) for name, each in vars(streams).items() if hasattr(each, "__len__")
        }
        assert {name for name, size in sizes.items() if size} <= {"_begun", "_clocks"}
        assert all(len(each) <= 100 for each in streams._begun.values())
        assert streams.budget.held_bytes == 0
        assert not streams.budget._accounts
    assert not subscribers._takers
    assert len(asyncio.all_tasks()) == before


async def test_no_stream_waits_for_another(pair: Pair):
    pair.subscribe(Block().start)
    assert pair.subscribers is not None
    taken: Counter[str] = Counter()
    count = 500
    for number in range(count):
        name = f"c{number}"
        pair.subscribers.register(name, lambda chunk, sender: taken.update((chunk.channel_id,)))

    async def produce(name: str) -> None:
        writer = pair.named(name=name)
        while True:
            await writer.send(b"x")

    producers = [asyncio.create_task(produce(f"c{number}")) for number in range(count)]
    while taken.total() < 40 * count:
        await turns()
    counts = sorted(taken.values())
    assert len(counts) == count
    assert counts[0] * 4 >= counts[count // 2]
    for producer in producers:
        producer.cancel()
    await asyncio.gather(*producers, return_exceptions=True)
