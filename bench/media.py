"""Media between two processes: ``make bench-media [SECONDS=10] [JSON=1]``.

This process sends encoded frames of random bytes to another one on this machine. Each frame says
when it was sent, so the receiver knows its age. Rows, one a kind of traffic and system:

- 5, 12, 20 and 50 Mbit/s of video, as of 720p30, 1080p30, 1080p60 and 4K30; a key frame a second is
  four times as large as the others
- ten frames of 1.2 MB beside a track of Opus
- urgent calls, one after the other, beside such frames: the times are of the calls, what is lost
  are frames, and ``alone_ms`` is the median of calls before
- adding a track to a live link while 1,000 calls a second run on it: the times are of adding,
  what is sent and received are calls
- tracks that come and go one after the other, with one frame each (``--tracks``): the times are of
  adding; tasks and memory of this process before and after

``bare aiortc`` is aiortc with nothing of ours and its decoder taken out. A frame of 1.2 MB has more
packets than its receiver takes, so it has the first four rows only.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import uvloop
from rich.progress import Progress

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import PeerError
from bench.report import console, percentile, show, write_json
from bench.rivals.media import bare
from bench.tracks import SETTLE_SECONDS, Paced, adding, come_and_go, linked, row
from lab.media_far import FAR
from lab.processes import Child, child

RATES = ((5, 30), (12, 30), (20, 60), (50, 30))
"""Mbit/s and frames a second."""
KEYFRAME_TIMES = 4
LARGE_BYTES, LARGE_FRAMES, SOUND_PACKETS = 1_200_000, 10, 150
URGENT_SECONDS, CALL_PAUSE = 6, 0.002
GOAL_URGENT = 15
"""Lone calls, which the slowest of a hundred may take."""
GOAL_ADD_MS = 50.0
GOAL_GROWN_MB = 4.0
"""Of memory, after a thousand tracks; an allocator gives back what it likes."""


def sizes_of(mbit: int, fps: int, seconds: float) -> list[int]:
    """Bytes of each frame: a key frame a second, four times as large as the others."""
    small = int(mbit * 1e6 / 8 / (fps - 1 + KEYFRAME_TIMES))
    return [small * (KEYFRAME_TIMES if n % fps == 0 else 1) for n in range(int(seconds * fps))]


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


async def urgent() -> list[dict[str, Any]]:
    """Urgent calls beside frames of 1.2 MB on the same link."""
    async with linked() as (node, far):
        client = ChatClient(node.ref.to(FAR))
        source = Paced("video", "VP8", 4, [LARGE_BYTES] * (URGENT_SECONDS * 4))
        over = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(URGENT_SECONDS / 2, over.set_result, None)
        lone = await _calls(client, over.done)
        await far.tell(ask="begin")
        await far.line()
        began, cpu = time.perf_counter(), time.process_time()
        await node.ref.publish(FAR, source)
        took = await _calls(client, source.done.is_set)
        share = (time.process_time() - cpu) / (time.perf_counter() - began)
        await asyncio.sleep(SETTLE_SECONDS)
        await far.tell(ask="end")
        told = await far.line()
        frames = len(told["ages"].get(source.track_id, []))
        calls = row("urgent calls beside them", "actr", len(took), took, (share, told["cpu"]))
        alone = {"alone_ms": round(percentile(lone, 0.5) * 1e3, 2), "frames": frames}
        return [{**calls, "lost": source.sent - frames, **alone}]


async def _calls(client: ChatClient, is_over: Callable[[], bool]) -> list[float]:
    """Seconds of each."""
    took = []
    while not is_over():
        began = time.perf_counter()
        await client.kick(pb.KickRequest(who="x" * 100))
        took.append(time.perf_counter() - began)
        await asyncio.sleep(CALL_PAUSE)
    return took


async def measure(seconds: float, tracks: int) -> list[dict[str, Any]]:
    """All rows."""
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("media", total=2 * len(RATES) + 4)

        def step(name: str) -> None:
            progress.update(task, advance=1, description=name)

        rows = await rates(seconds, step)
        step("1.2 MB frames")
        rows += await large()
        step("urgent calls beside them")
        rows += await urgent()
        step("adding tracks")
        rows += await adding()
        step("tracks come and go")
        return rows + await come_and_go(tracks)


def main() -> None:
    """Parse the arguments, measure, report; exit status 1 where a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each of the four rates")
    parser.add_argument("--tracks", type=int, default=1000, help="that come and go")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.seconds < 1 or arguments.tracks < 1:
        parser.error("--seconds and --tracks are at least 1")
    try:
        rows = uvloop.run(measure(arguments.seconds, arguments.tracks))
    except PeerError as exc:
        sys.exit(f"no measurement: {exc}")
    shown = [{name: each[name] for name in rows[0]} for each in rows]
    show(f"Media between two processes, {arguments.seconds:g} s each", shown)
    ours = [each for each in rows if each["system"] == "actr"]
    holds = {f"{each['row']}: nothing lost": each["lost"] == 0 for each in ours}
    *_, calls, added, gone = ours
    within = calls["p99_ms"] <= GOAL_URGENT * calls["alone_ms"]
    holds[f"an urgent call beside large frames: p99 at most {GOAL_URGENT} lone calls"] = within
    holds[f"a track is added in {GOAL_ADD_MS:g} ms (p50)"] = added["p50_ms"] <= GOAL_ADD_MS
    holds["tasks are back to the start"] = gone["tasks_after"] <= gone["tasks_before"]
    grown = gone["rss_mb_after"] - gone["rss_mb_before"]
    holds[f"memory grows by less than {GOAL_GROWN_MB:g} MB"] = grown < GOAL_GROWN_MB
    tasks = f"tasks {gone['tasks_before']} then {gone['tasks_after']}"
    console.print(f"{tasks}, memory {grown:+.1f} MB")
    for goal, is_met in holds.items():
        console.print(f"{'yes' if is_met else 'NO':>4}  {goal}")
    if arguments.json:
        write_json({"seconds": arguments.seconds, "rows": rows, "holds": holds})
    sys.exit(not all(holds.values()))


if __name__ == "__main__":
    main()
