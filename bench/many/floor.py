"""What tasks cost by themselves, and what an idle half of a stream holds."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections import deque
from types import SimpleNamespace
from typing import Any

from actr.demo import chat_pb2 as pb
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.streams.chunks import encode_item
from actr_peer.tasks import Tasks
from actr_peer.transport.channels import Streams
from bench.sessions import ADA, Heard

ITEM = 100
WINDOW = 64
"""Messages that one task is ahead of the other, at most."""


async def floor(streams: int, total: int) -> float:  # noqa: C901  one pair, whole
    """Microseconds of CPU per message that one task hands to another, and nothing else."""
    count = total // streams
    data = bytes(ITEM)

    async def pair() -> None:
        held: deque[pb.FilePiece] = deque()
        waits: dict[str, asyncio.Future[None]] = {}

        def wake(who: str) -> None:
            future = waits.pop(who, None)
            if future is not None and not future.done():
                future.set_result(None)

        async def wait(who: str) -> None:
            waits[who] = asyncio.get_running_loop().create_future()
            await waits[who]

        async def produce() -> None:
            for _ in range(count):
                if len(held) >= WINDOW:
                    await wait("producer")
                held.append(pb.FilePiece(data=data))
                wake("consumer")

        async def consume() -> None:
            for _ in range(count):
                if not held:
                    await wait("consumer")
                held.popleft()
                wake("producer")

        await asyncio.gather(produce(), consume())

    begin = time.process_time()
    await asyncio.gather(*(pair() for _ in range(streams)))
    return (time.process_time() - begin) / (count * streams) * 1e6


async def idle_halves(count: int) -> dict[str, int]:
    """Bytes of Python's own memory of each half of a named channel that has begun and waits."""
    lane = SimpleNamespace(post=lambda _: None)
    link: Any = SimpleNamespace(remote=ADA, is_shut=False, lane=lambda _: lane)
    async with Tasks("bench") as tasks:
        tracemalloc.start()
        streams = Streams()
        begin = tracemalloc.get_traced_memory()[0]
        writers = [
            streams.open_named(link, f"w{n}", PayloadType.STREAM_RELIABLE) for n in range(count)
        ]
        written = tracemalloc.get_traced_memory()[0]
        heard = Heard(count, tasks.start)
        for n in range(count):
            chunk = encode_item(f"c{n}", 0, bytes(ITEM), opening=1)
            heard.dispatcher.message(link, PayloadType.STREAM_RELIABLE, chunk, 0)
        while heard.items < count:  # noqa: ASYNC110 - its callbacks, which tell nobody
            await asyncio.sleep(0)
        gc.collect()
        read = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        for writer in writers:
            streams.forget_writer(writer)
    return {"writing": (written - begin) // count, "reading": (read - written) // count}
