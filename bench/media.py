"""Media between two processes: ``make bench-media [SECONDS=10] [JSON=1]``.

This process sends encoded frames of random bytes to another one on this machine. Each frame says
when it was sent, so the receiver knows its age. Rows, one a kind of traffic and system:

- 5, 12, 20 and 50 Mbit/s of video, as of 720p30, 1080p30, 1080p60 and 4K30; a key frame a second is
  four times as large as the others
- ten frames of 1.2 MB beside a track of Opus
- adding a track to a live link while 1,000 calls a second run on it: the times are of adding,
  what is sent and received are calls

``bare aiortc`` is aiortc with nothing of ours and its decoder taken out. A frame of 1.2 MB has more
packets than its receiver takes, so it has the first four rows only.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvloop
from rich.progress import Progress

from actr_peer import ActrRef, Node, PeerError, Sample, System
from bench.report import console, percentile, show, write_json
from bench.rivals.media import bare
from demo import chat_pb2 as pb
from demo.chat_actr import ChatClient
from lab.echo import Echo, node_config
from lab.media_far import FAR, stamped
from lab.processes import Child, child, signaling

RATES = ((5, 30), (12, 30), (20, 60), (50, 30))
"""Mbit/s and frames a second."""
KEYFRAME_TIMES = 4
LARGE_BYTES, LARGE_FRAMES, SOUND_PACKETS = 1_200_000, 10, 150
SETTLE_SECONDS = 1.0
"""After the last frame, for what is sent again."""
CALLS_PER_SECOND = 1000
TRACKS_ADDED = 30
ADD_PAUSE = 0.07
GOAL_ADD_MS = 50.0


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


def sizes_of(mbit: int, fps: int, seconds: float) -> list[int]:
    """Bytes of each frame: a key frame a second, four times as large as the others."""
    small = int(mbit * 1e6 / 8 / (fps - 1 + KEYFRAME_TIMES))
    return [small * (KEYFRAME_TIMES if n % fps == 0 else 1) for n in range(int(seconds * fps))]


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Node, Child]]:
    """A node here and one in another process, with a live link."""
    async with signaling() as url, child(["lab.media_far", url]) as far:
        await far.line()
        config = node_config("near", url, "webrtc", "fast")
        async with System(config).attach(Echo()) as node:
            await ChatClient(node.ref.to(FAR)).say(pb.SayRequest())
            yield node, far


async def play(
    far: Child, sources: Sequence[Paced], publish: Callable[[Paced], Awaitable[object]]
) -> tuple[dict[str, Any], float]:
    """Send all sources to their end; what the far side saw, and the CPU share of this one."""
    await far.tell(ask="begin")
    await far.line()
    began, cpu = time.perf_counter(), time.process_time()
    for source in sources:
        await publish(source)
    for source in sources:
        await source.done.wait()
    share = (time.process_time() - cpu) / (time.perf_counter() - began)
    await asyncio.sleep(SETTLE_SECONDS)
    await far.tell(ask="end")
    return await far.line(), share


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


def rows_of(
    name: str, system: str, sources: Sequence[Paced], told: dict[str, Any], cpu: float
) -> list[dict[str, Any]]:
    """A row for each track."""
    return [
        row(
            f"{name}, {source.codec}" if len(sources) > 1 else name,
            system,
            source.sent,
            told["ages"].get(source.track_id, []),
            (cpu, told["cpu"]),
        )
        for source in sources
    ]


async def rates(seconds: float, step: Callable[[str], None]) -> list[dict[str, Any]]:
    """The four rows of both systems, one after the other."""
    made = []
    for mbit, fps in RATES:
        name = f"{mbit} Mbit/s"
        step(f"actr, {name}")
        async with linked() as (node, far):
            sources = [Paced("video", "VP8", fps, sizes_of(mbit, fps, seconds))]
            told, cpu = await play(far, sources, lambda each: node.ref.publish(FAR, each))
            made += rows_of(name, "actr", sources, told, cpu)
        step(f"bare aiortc, {name}")
        async with child(["bench.rivals.media"]) as far, bare(far) as near:
            sources = [Paced("video", "VP8", fps, sizes_of(mbit, fps, seconds))]
            told, cpu = await play(far, sources, near.send)
            made += rows_of(name, "bare aiortc", sources, told, cpu)
    return made


async def large() -> list[dict[str, Any]]:
    """Ten frames of 1.2 MB beside a track of sound."""
    async with linked() as (node, far):
        sources = [
            Paced("sound", "opus", 50, [160] * SOUND_PACKETS),
            Paced("video", "VP8", 4, [LARGE_BYTES] * LARGE_FRAMES),
        ]
        told, cpu = await play(far, sources, lambda each: node.ref.publish(FAR, each))
        return rows_of("1.2 MB frames", "actr", sources, told, cpu)


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


async def measure(seconds: float) -> list[dict[str, Any]]:
    """All rows."""
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("media", total=2 * len(RATES) + 2)

        def step(name: str) -> None:
            progress.update(task, advance=1, description=name)

        rows = await rates(seconds, step)
        step("1.2 MB frames")
        rows += await large()
        step("adding tracks")
        return rows + await adding()


def main() -> None:
    """Parse the arguments, measure, report; exit status 1 where a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each of the four rates")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.seconds < 1:
        parser.error("--seconds is at least 1")
    try:
        rows = uvloop.run(measure(arguments.seconds))
    except PeerError as exc:
        sys.exit(f"no measurement: {exc}")
    show(f"Media between two processes, {arguments.seconds:g} s each", rows)
    ours = [each for each in rows if each["system"] == "actr"]
    holds = {f"{each['row']}: nothing lost": each["lost"] == 0 for each in ours}
    holds[f"a track is added in {GOAL_ADD_MS:g} ms (p50)"] = ours[-1]["p50_ms"] <= GOAL_ADD_MS
    for goal, is_met in holds.items():
        console.print(f"{'yes' if is_met else 'NO':>4}  {goal}")
    if arguments.json:
        write_json({"seconds": arguments.seconds, "rows": rows, "holds": holds})
    sys.exit(not all(holds.values()))


if __name__ == "__main__":
    main()
