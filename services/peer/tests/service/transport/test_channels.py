"""Streams when a process at their end is killed and starts again, and after thousands of them."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tracemalloc
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import Context, StreamFailedError, System
from actr_peer.errors import BrokenError, CallError, Code
from actr_peer.node.node import Node
from actr_peer.protocol.streams.halves import GRANT_EVERY
from actr_peer.transport.streams import StreamWriter
from lab.quiet import Quiet
from peer_kit.links import eventually
from peer_kit.signaling import config, signaling_service

pytestmark = pytest.mark.service

ROOM = "acme:room@1:default"
PATIENCE = 60.0
BATCH = 500
SLACK_BYTES = 256 * 1024
"""What a process may hold beyond what it held before: timers, what links remember, its caches."""
ITEMS = 40
PEER = """
import asyncio, sys
from actr_peer import System
from actr_peer.protocol.streams.halves import GRANT_EVERY
from actr_peer.transport.streams import StreamWriter
from lab.quiet import Quiet
from peer_kit.links import eventually
from peer_kit.signaling import config

async def main(role, url, items):
    print("loaded", flush=True)
    sys.stdin.readline()
    async with System(config(role, url)).attach(Quiet()) as node:
        if role == "taker":
            node.ref.register_stream("c", lambda chunk, sender: print(chunk.sequence, flush=True))
            print("ready", flush=True)
        else:
            writer = node.ref.open_stream("acme:here@1:default", "c")
            for number in range(int(items)):
                await writer.send(b"%d" % number)
        await node.ended.wait()

asyncio.run(main(*sys.argv[1:]))
"""


@asynccontextmanager
async def peer(role: str, url: str) -> AsyncIterator[Process]:
    """An actor in a process of its own, which waits for :func:`go`; killed at the end of the block.

    So one takes another's place at once, however long a process takes to load: a link that finds
    nobody for some seconds ends for another reason.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PEER, role, url, str(ITEMS)),
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert await line(process) == "loaded"
        yield process
    finally:
        await kill(process)


def go(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")


async def kill(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def line(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def send_on(writer: StreamWriter) -> None:
    while True:
        await writer.send(b"x")


async def test_a_receiver_whose_sender_s_process_starts_again_is_told_the_last_item_that_came():
    async with (
        asyncio.timeout(PATIENCE),
        signaling_service() as url,
        System(config("here", url)).attach(Quiet()) as here,
        here.ref.incoming("c") as streams,
        peer("giver", url) as giver,
        peer("giver", url) as again,
    ):
        go(giver)
        first = await anext(streams)
        for number in range(ITEMS):
            assert (await anext(first)).data == b"%d" % number
        await kill(giver)
        go(again)
        with pytest.raises(StreamFailedError) as failure:
            await anext(first)
        assert failure.value.last_sequence == ITEMS - 1
        assert "restarted" in str(failure.value.reason)
        second = await anext(streams)
        assert [(await anext(second)).sequence for _ in range(ITEMS)] == list(range(ITEMS))


async def test_a_sender_whose_receiver_s_process_starts_again_is_told_how_much_that_has_taken():
    async with (
        asyncio.timeout(PATIENCE),
        signaling_service() as url,
        System(config("here", url)).attach(Quiet()) as here,
        peer("taker", url) as taker,
        peer("taker", url) as again,
    ):
        go(taker)
        assert await line(taker) == "ready"
        writer = here.ref.open_stream("acme:taker@1:default", "c")
        for _ in range(ITEMS):
            await writer.send(b"x")
        assert [await line(taker) for _ in range(ITEMS)] == [str(n) for n in range(ITEMS)]
        await kill(taker)
        go(again)
        assert await line(again) == "ready"
        with pytest.raises(BrokenError, match=r"restarted; delivered: .*STREAM_RELIABLE to"):
            await send_on(writer)
        assert ITEMS - GRANT_EVERY < writer.taken <= ITEMS
        async with here.ref.stream("acme:taker@1:default", "c") as s:
            await s.send(b"to the new process")
        assert await line(again) == "0"


class Failing(Quiet):
    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        yield pb.PresenceChange(who="ann", present=True)
        raise CallError(Code.ABORTED, "of its own")


class Ways:
    """Each opens a stream and ends it."""

    def __init__(self, here: Node) -> None:
        self._ref = here.ref
        self._client = ChatClient(here.ref.to(ROOM))
        self._all = (self.whole, self.with_an_error, self.typed, self.left, self.failed, self.late)

    async def open_and_end(self, count: int) -> None:
        """So many streams, some of each way, a batch at a time."""
        for first in range(0, count, BATCH):
            numbers = range(first, first + BATCH)
            await asyncio.gather(*(self._all[n % len(self._all)](name(n)) for n in numbers))

    async def whole(self, channel_id: str) -> None:
        async with self._ref.stream(ROOM, channel_id) as s:
            await s.send(b"x")

    async def with_an_error(self, channel_id: str) -> None:
        writer = self._ref.open_stream(ROOM, channel_id)
        await writer.send(b"x")
        writer.end(CallError(Code.ABORTED, "a test"))

    async def typed(self, channel_id: str) -> None:
        async def pieces() -> AsyncIterator[pb.FilePiece]:
            for _ in range(3):
                yield pb.FilePiece(data=b"x")

        assert (await self._client.upload(pieces())).size_bytes == 3

    async def left(self, channel_id: str) -> None:
        async for _ in self._client.messages(pb.MessagesRequest(test_lines=3)):
            break

    async def failed(self, channel_id: str) -> None:
        with suppress(CallError):
            async for _ in self._client.presence(pb.PresenceRequest()):
                pass

    async def late(self, channel_id: str) -> None:
        writer = self._ref.open_stream(ROOM, channel_id, latency_first=True)
        await writer.send(b"x")
        writer.end()


def name(number: int) -> str:
    """One of as many channels as a batch has."""
    return f"c{number % BATCH}"


def objects() -> Counter[str]:
    """What the collector knows of, by type."""
    gc.collect()
    return Counter(type(each).__name__ for each in gc.get_objects())


@pytest.mark.slow
async def test_after_ten_thousand_streams_memory_and_tasks_are_what_they_were():
    async with (
        signaling_service() as url,
        System(config("room", url)).attach(Failing()) as there,
        System(config("here", url)).attach(Quiet()) as here,
    ):
        ways = Ways(here)
        for number in range(BATCH):
            there.ref.register_stream(name(number), lambda chunk, sender: None)
        await ChatClient(here.ref.to(ROOM)).say(pb.SayRequest())
        tasks = len(asyncio.all_tasks())

        async def at_rest() -> tuple[Counter[str], int]:
            for node in (here, there):
                await eventually(lambda node=node: node.assembly.streams.open_count == 0)  # type: ignore[misc]
            await eventually(lambda: len(asyncio.all_tasks()) == tasks)
            return objects(), tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            await ways.open_and_end(10 * BATCH)
            kinds, held = await at_rest()
            await ways.open_and_end(10_000)
            kinds_after, held_after = await at_rest()
        finally:
            tracemalloc.stop()
        assert not {kind: n for kind, n in (kinds_after - kinds).items() if n > BATCH // 5}
        assert held_after - held < SLACK_BYTES
