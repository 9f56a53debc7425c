"""How items come to callbacks: plain ones with no task, others in one; none loses another's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from actr_peer.actor.subscribers.lines import Ready, StreamEnd
from actr_peer.protocol.streams.chunks import Chunk
from peer_kit.streams import Block, Pair, turns

MANY = 100


@pytest.fixture
def pair() -> Iterator[Pair]:
    return Pair()


async def test_a_plain_callback_has_no_task_before_its_stream_ends(pair: Pair):
    block, heard, ends = Block(), [], []
    subscribers = pair.subscribe(block.start)
    writers = []
    for number in range(MANY):
        name = f"c{number}"
        subscribers.register(
            name,
            lambda chunk, sender: heard.append((chunk.channel_id, chunk.sequence)),
            lambda end, sender: ends.append(end),
        )
        writers.append(pair.named(name=name))
    for _ in range(3):
        for writer in writers:
            await writer.send(b"x")
        await turns(MANY)
        assert not block.tasks
    for writer in writers:
        writer.end()
    await turns(MANY * 4)
    assert heard == [(f"c{number}", item) for item in range(3) for number in range(MANY)]
    assert ends == [StreamEnd(f"c{number}", 2) for number in range(MANY)]
    assert not block.tasks
    assert pair.far.open_count == 0


async def test_a_callback_that_is_to_be_awaited_now_and_then_has_its_items_in_order(pair: Pair):
    block, heard = Block(), []

    async def later(chunk: Chunk) -> None:
        await asyncio.sleep(0)
        heard.append(chunk.sequence)

    def take(chunk: Chunk, sender: object):
        if chunk.sequence % 3 == 1:
            return later(chunk)
        return heard.append(chunk.sequence)

    pair.subscribe(block.start).register("c", take)
    writer = pair.named()
    for _ in range(30):
        await writer.send(b"x")
        await turns(3)
    writer.end()
    await turns(40)
    assert heard == list(range(30))
    assert not block.tasks


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, SystemExit, GeneratorExit])
async def test_a_callback_that_fails_in_whatever_way_loses_that_item_alone(
    pair: Pair, error: type[BaseException]
):
    heard: list[tuple[str, int]] = []

    def take(chunk: Chunk, sender: object) -> None:
        if (chunk.channel_id, chunk.sequence) == ("a", 0):
            raise error
        heard.append((chunk.channel_id, chunk.sequence))

    subscribers = pair.subscribe(Block().start)
    writers = []
    for name in "ab":
        subscribers.register(name, take)
        writers.append(pair.named(name=name))
    for _ in range(2):
        for writer in writers:
            await writer.send(b"x")
    await turns(20)
    assert sorted(heard) == [("a", 1), ("b", 0), ("b", 1)]


class Stand:
    """In place of a line."""

    def __init__(self, *, fails: bool) -> None:
        self.fails = fails
        self.runs = 0

    def run(self) -> None:
        self.runs += 1
        if self.fails:
            raise RuntimeError("of our own")


async def test_a_failure_with_one_line_does_not_keep_the_others_from_their_turn():
    left: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: left.append(context))
    ready, lines = Ready(), [Stand(fails=fails) for fails in (False, True, False, False)]
    for line in lines:
        ready.add(line)  # type: ignore[arg-type]
    await turns(3)
    assert [line.runs for line in lines] == [1, 1, 1, 1]
    assert len(left) == 1


COLOUR: ContextVar[str] = ContextVar("colour", default="none")


async def test_what_a_callback_sets_in_its_context_stays_with_its_stream(pair: Pair):
    seen: dict[str, list[str]] = {"a": [], "b": []}

    def take(chunk: Chunk, sender: object) -> None:
        seen[chunk.channel_id].append(COLOUR.get())
        COLOUR.set(chunk.channel_id)

    subscribers = pair.subscribe(Block().start)
    writers = []
    for name in "ab":
        subscribers.register(name, take)
        writers.append(pair.named(name=name))
    for _ in range(2):
        for writer in writers:
            await writer.send(b"x")
        await turns(20)
    assert seen == {"a": ["none", "a"], "b": ["none", "b"]}
    assert COLOUR.get() == "none"


async def test_a_callback_that_unregisters_itself_is_not_called_again(pair: Pair):
    heard: list[int] = []

    def take(chunk: Chunk, sender: object) -> None:
        heard.append(chunk.sequence)
        unregister()

    unregister = pair.subscribe(Block().start).register("c", take)
    writer = pair.named()
    for _ in range(3):
        await writer.send(b"x")
    await turns(20)
    assert heard == [0]
    assert writer.is_stopped
    assert pair.far.open_count == 0
