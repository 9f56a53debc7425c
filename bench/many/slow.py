"""One fast producer and one slow consumer, each in a process: nothing piles up, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop

from actr_peer import Chunk, StreamEnd, System
from actr_peer.protocol.identity import ActrId
from bench.many.crowd import DONE_SECONDS, Processes
from lab.echo import Echo, node_config
from lab.processes import child, signaling

CONSUMED_EACH = 0.01
"""Seconds that the consumer takes for an item."""
ITEM = 1000
SAMPLES = 6


async def consumer(url: str, mailbox: str) -> None:
    """Be the far side of :func:`slow`: take an item each :data:`CONSUMED_EACH`; say what came."""
    taken, in_order = 0, True
    ended = asyncio.Event()

    async def take(chunk: Chunk, sender: ActrId) -> None:
        nonlocal taken, in_order
        in_order = in_order and chunk.sequence == taken
        taken += 1
        await asyncio.sleep(CONSUMED_EACH)

    def on_end(end: StreamEnd, sender: ActrId) -> None:
        _say(taken=taken, in_order=in_order, error=str(end.error or ""))
        ended.set()

    async with System(node_config("far", url, "websocket", "process", mailbox)).attach(
        Echo()
    ) as node:
        node.ref.register_stream("slow", take, on_end=on_end)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        _say(event="ready")
        await ended.wait()


def _say(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


async def slow(seconds: float) -> dict[str, Any]:
    """A fast producer for so long, and the memory of both processes meanwhile, in MB."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="actr-bench-")))
        url = await stack.enter_async_context(signaling())
        far = await stack.enter_async_context(
            child(["bench.many.slow", url, str(folder / "far.db")])
        )
        await far.line()
        config = node_config("near", url, "websocket", "process", str(folder / "near.db"))
        node = await stack.enter_async_context(System(config).attach(Echo()))
        processes = Processes(far.pid)
        sent = 0
        memory: list[list[float]] = []
        async with node.ref.stream("bench:far@1:default", "slow") as stream:
            begin = time.monotonic()
            while (passed := time.monotonic() - begin) < seconds:
                if passed >= len(memory) * seconds / SAMPLES:
                    memory.append([round(size / 1e6, 1) for size in processes.resident()])
                await stream.send(bytes(ITEM))
                sent += 1
            memory.append([round(size / 1e6, 1) for size in processes.resident()])
        heard = await far.line(timeout=DONE_SECONDS)
        return {
            "seconds": seconds,
            "sent": sent,
            "lost": sent - heard["taken"],
            "in_order": heard["in_order"],
            "error": heard["error"],
            "producer_mb": [near for near, _ in memory],
            "consumer_mb": [away for _, away in memory],
        }


if __name__ == "__main__":
    uvloop.run(consumer(*sys.argv[1:]))
