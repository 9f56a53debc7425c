"""Tracks that are added to a live link, and that come and go: two rows of ``bench.media``.

Besides, what all of its rows need: sources, a link between two processes, and a row.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import ActrRef, Node, Sample, System
from bench.report import percentile
from lab.echo import Echo, node_config
from lab.media_far import FAR, stamped
from lab.processes import Child, child, signaling

CALLS_PER_SECOND = 1000
TRACKS_ADDED = 30
ADD_PAUSE = 0.07
TRACKS_BEFORE = 50
"""That come and go before memory is looked at."""
SETTLE_SECONDS = 1.0
"""After the last frame, for what is sent again."""


class Paced:
    """A source of frames of random bytes that say when they were sent."""

    def __init__(self, track_id: str, codec: str, fps: float, sizes: Sequence[int]) -> None:
        self.track_id, self.codec = track_id, codec
        self.kind: Any = "audio" if codec == "opus" else "video"
        self.done = asyncio.Event()
        self.sent = 0
        self._fps, self._sizes = fps, sizes
        self._clock = 48_000 if codec == "opus" else 90_000
        self._began = 0.0

    async def read(self) -> Sample | None:
        """The next one, when its time has come; late ones at once."""
        loop = asyncio.get_running_loop()
        self._began = self._began or loop.time()
        if self.sent == len(self._sizes):
            self.done.set()
            return None
        await asyncio.sleep(self._began + self.sent / self._fps - loop.time())
        number, self.sent = self.sent, self.sent + 1
        data = stamped(self._sizes[number], is_first=number == 0)
        return Sample(data, int(number * self._clock / self._fps), number == 0)

    def request_keyframe(self) -> None:
        """All are of the same worth."""


class OneFrame:
    """A source of one frame, which lasts until it is stopped."""

    kind: Any = "audio"
    codec = "opus"

    def __init__(self, number: int) -> None:
        self.track_id = f"short {number}"
        self.sent = asyncio.Event()
        self._is_read = False

    async def read(self) -> Sample | None:
        """The frame, and nothing more."""
        if self._is_read:
            self.sent.set()
            await asyncio.Event().wait()
        self._is_read = True
        return Sample(stamped(100, is_first=True), 0)

    def request_keyframe(self) -> None:
        """It is one."""


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Node, Child]]:
    """A node here and one in another process, with a live link."""
    async with signaling() as url, child(["lab.media_far", url]) as far:
        await far.line()
        config = node_config("near", url, "webrtc", "fast")
        async with System(config).attach(Echo()) as node:
            await ChatClient(node.ref.to(FAR)).say(pb.SayRequest())
            yield node, far


def row(
    name: str, system: str, sent: int, ages: Sequence[float], cpu: tuple[float, float]
) -> dict[str, Any]:
    """One line of the table; ages in seconds."""
    return {
        "row": name,
        "system": system,
        "wire": "webrtc",
        "sent": sent,
        "received": len(ages),
        "lost": sent - len(ages),
        "p50_ms": round(percentile(ages, 0.5) * 1e3, 2),
        "p99_ms": round(percentile(ages, 0.99) * 1e3, 2),
        "cpu_send": round(cpu[0], 3),
        "cpu_receive": round(cpu[1], 3),
    }


@dataclass
class Calls:
    """Calls at a rate, whatever the answers take."""

    made: int = 0
    answered: int = 0
    running: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, client: ChatClient, is_over: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not is_over.is_set():
            while self.made < (loop.time() - began) * CALLS_PER_SECOND:
                self.made += 1
                task = loop.create_task(self._one(client))
                self.running.add(task)
                task.add_done_callback(self.running.discard)
            await asyncio.sleep(0.001)
        await asyncio.gather(*self.running)

    async def _one(self, client: ChatClient) -> None:
        await client.say(pb.SayRequest())
        self.answered += 1


async def adding() -> list[dict[str, Any]]:
    """Time to add a track to a live link that carries calls."""
    async with linked() as (node, far):
        calls, is_over = Calls(), asyncio.Event()
        await far.tell(ask="begin")
        await far.line()
        began, cpu = time.perf_counter(), time.process_time()
        running = asyncio.get_running_loop().create_task(
            calls.run(ChatClient(node.ref.to(FAR)), is_over)
        )
        took = [await _added(node.ref, number) for number in range(TRACKS_ADDED)]
        is_over.set()
        await running
        share = (time.process_time() - cpu) / (time.perf_counter() - began)
        await far.tell(ask="end")
        told = await far.line()
        made = row("a track is added", "actr", calls.made, took, (share, told["cpu"]))
        return [{**made, "received": calls.answered, "lost": calls.made - calls.answered}]


async def _added(ref: ActrRef, number: int) -> float:
    source = Paced(f"added {number}", "opus", 50, [100] * 1000)
    await asyncio.sleep(ADD_PAUSE)
    began = time.perf_counter()
    publication = await ref.publish(FAR, source)
    took = time.perf_counter() - began
    await publication.stop()
    return took


async def come_and_go(count: int) -> list[dict[str, Any]]:
    """Tracks that are opened and ended; what is left of them in this process."""
    async with linked() as (node, far):
        await far.tell(ask="begin")
        await far.line()

        async def one(number: int) -> float:
            began = time.perf_counter()
            source = OneFrame(number)
            publication = await node.ref.publish(FAR, source)
            took = time.perf_counter() - began
            await source.sent.wait()
            await publication.stop()
            return took

        for number in range(TRACKS_BEFORE):
            await one(-1 - number)
        before = _kept()
        began, cpu = time.perf_counter(), time.process_time()
        took = [await one(number) for number in range(count)]
        share = (time.process_time() - cpu) / (time.perf_counter() - began)
        after = _kept()
        await asyncio.sleep(SETTLE_SECONDS)
        await far.tell(ask="end")
        told = await far.line()
        came = sum(f"short {number}" in told["ages"] for number in range(count))
        made = row(f"{count:,} tracks come and go", "actr", count, took, (share, told["cpu"]))
        kept = {
            "tasks_before": before[0],
            "tasks_after": after[0],
            "rss_mb_before": before[1],
            "rss_mb_after": after[1],
        }
        return [{**made, "received": came, "lost": count - came, **kept}]


def _kept() -> tuple[int, float]:
    """Tasks, and resident MB, of this process."""
    gc.collect()
    return len(asyncio.all_tasks()), round(psutil.Process().memory_info().rss / 1e6, 1)
