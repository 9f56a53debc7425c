"""Items a second of streams, beside other systems in the same run: ``make bench-stream [JSON=1]``.

Every stream goes from this process to another one, which takes its items, and is counted from its
second item until the far side's last reply. Rows, one a system, wire, number of streams and size:

- ``actr``: client streams of one link, ``STREAM_RELIABLE``; ``in process``: both ends here.
- ``grpc.aio``: client streams of one channel, the same messages.
- ``websockets``, ``picows``, ``aiortc``: one connection with nothing around it, one stream.

CPU is that of both processes, memory that of the two together. ``dispatch`` is the CPU of one
item of 100 bytes from the message that a lane delivers to who iterates, with no wire.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop
from rich.progress import Progress

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import System
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.streams.chunks import decode_chunk, encode_item
from actr_peer.transport.channels import Streams
from bench.report import console, show, write_json
from bench.rivals.naive import connected
from bench.rivals.streams import UPLOADS, Upload
from lab.echo import Echo, node_config
from lab.processes import child, signaling

SIZES = (65_536, 100)
STREAMS = (1, 200, 5000)
DONE_SECONDS = 120.0
WINDOW_BYTES = 4 * 1024 * 1024
"""Handed to a bare library before its far side is asked for word."""
DISPATCH_GOAL_US = 10.0
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

Cell = tuple[str, str, int, int]
"""System, wire, streams, bytes of an item."""


def cells(streams: Sequence[int], sizes: Sequence[int]) -> list[Cell]:
    """All that is measured, in order."""
    found: list[Cell] = []
    for size in sizes:
        for wire in ("websocket", "webrtc", "in process"):
            found += [("actr", wire, number, size) for number in streams]
        found += [("grpc.aio", "http/2", number, size) for number in streams]
        found += [("websockets", "websocket", 1, size), ("picows", "websocket", 1, size)]
        found += [("aiortc", "webrtc", 1, size)]
    return found


def item_count(cell: Cell, scale: float) -> int:
    """Items of each stream."""
    _, wire, streams, size = cell
    slow = wire == "webrtc"
    total = (400 if slow else 3000) if size > 1000 else (15_000 if slow else 40_000)
    return max(1, round(total * scale / streams))


class Meter:
    """What two processes use from :meth:`begin` to :meth:`end`; the second may be this one."""

    def __init__(self, far: int | None) -> None:
        self._far = far
        self._seconds = self._cpu = 0.0

    def _used(self) -> float:
        used = time.process_time()
        if self._far is not None:
            stat = Path(f"/proc/{self._far}/stat").read_text().rpartition(")")[2].split()
            used += (int(stat[11]) + int(stat[12])) / TICKS
        return used

    def begin(self) -> None:
        self._seconds, self._cpu = time.perf_counter(), self._used()

    def end(self, cell: Cell, items: int) -> dict[str, Any]:
        """The row of ``items`` items of all streams."""
        seconds, cpu = time.perf_counter() - self._seconds, self._used() - self._cpu
        system, wire, streams, size = cell
        pids = [os.getpid(), *([self._far] if self._far is not None else [])]
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
        return {
            "system": system,
            "wire": wire,
            "streams": streams,
            "item_bytes": size,
            "mb_per_s": round(items * size / seconds / 1e6, 1),
            "items_per_s": round(items / seconds),
            "cpu_us_per_item": round(cpu / items * 1e6, 1),
            "rss_mb": round(pages * PAGE / 1e6),
        }


async def run(cell: Cell, count: int) -> dict[str, Any]:
    """Measure one cell, ``count`` items of each stream."""
    system, wire, *_ = cell
    if system in ("picows", "aiortc"):
        return await _bare(cell, count)
    async with AsyncExitStack() as stack:
        if system == "actr":
            upload, far = await stack.enter_async_context(actr(wire))
        else:
            process = await stack.enter_async_context(child(["bench.rivals.streams", system]))
            port, far = (await process.line())["port"], process.pid
            upload = await stack.enter_async_context(UPLOADS[system](port))
        return await _uploads(cell, count, upload, Meter(far))


async def _uploads(cell: Cell, count: int, upload: Upload, meter: Meter) -> dict[str, Any]:
    """All streams at once: each begins, and goes on when all have."""
    _, _, streams, size = cell
    go = asyncio.Event()
    begun = 0
    all_begun = asyncio.Event()
    data = bytes(size)

    async def items() -> AsyncIterator[bytes]:
        nonlocal begun
        yield data
        begun += 1
        if begun == streams:
            all_begun.set()
        await go.wait()
        for _ in range(count):
            yield data

    async with asyncio.timeout(DONE_SECONDS), asyncio.TaskGroup() as group:
        replies = [group.create_task(upload(items())) for _ in range(streams)]
        await all_begun.wait()
        meter.begin()
        go.set()
        taken = sum(await asyncio.gather(*replies))
        if taken != streams * (count + 1) * size:
            raise AssertionError(f"{taken} bytes arrived")
        return meter.end(cell, streams * count)


@asynccontextmanager
async def actr(wire: str) -> AsyncIterator[tuple[Upload, int | None]]:
    """Client streams of one link, or inside of one process; also the far process."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="actr-bench-")))
        url = await stack.enter_async_context(signaling())
        kind = "websocket" if wire == "in process" else wire
        pid = None
        if wire != "in process":
            arguments = ["lab.echo", "far", url, kind, "process", str(folder / "far.db")]
            far = await stack.enter_async_context(child(arguments))
            await far.line()
            pid = far.pid
        config = node_config("near", url, kind, "process", str(folder / "near.db"))
        node = await stack.enter_async_context(System(config).attach(Echo()))
        ref = node.ref.to_self() if pid is None else node.ref.to("bench:far@1:default")
        client = ChatClient(ref)

        async def upload(items: AsyncIterator[bytes]) -> int:
            pieces = (pb.FilePiece(data=item) async for item in items)
            return (await client.upload(pieces, timeout=DONE_SECONDS)).size_bytes

        yield upload, pid


async def _bare(cell: Cell, count: int) -> dict[str, Any]:
    _, wire, _, size = cell
    data = bytes(size)
    async with child(["bench.rivals.naive", wire]) as far, connected(wire, far) as echoes:
        await echoes.ask()
        meter = Meter(far.pid)
        meter.begin()
        left = count
        while left:
            window = min(left, max(1, WINDOW_BYTES // size))
            for _ in range(window):
                echoes.send_bulk(data)
            await echoes.taken(window)
            left -= window
        return meter.end(cell, count)


async def dispatch(count: int) -> float:
    """Microseconds of CPU from a lane's message to who iterates."""

    class Nobody:
        remote = None

        def lane(self, payload_type: PayloadType) -> Nobody:
            return self

        def post(self, message: bytes) -> None:
            pass

    link: Any = Nobody()
    streams = Streams()
    lane = PayloadType.STREAM_RELIABLE
    reader = streams.open_reader(link, "bench", lane)
    reader.listen()
    spent = 0.0
    batch = 32
    for first in range(0, count, batch):
        messages = [encode_item("bench", first + n, bytes(100), {}) for n in range(batch)]
        begin = time.thread_time()
        for message in messages:
            streams.receive(link, lane, decode_chunk(message))
        for _ in range(batch):
            await reader.__anext__()
        spent += time.thread_time() - begin
    streams.forget_reader(reader)
    return spent / -(-count // batch) / batch * 1e6


async def measure(chosen: Sequence[Cell], scale: float) -> list[dict[str, Any]]:
    """All rows, one after the other; a cell that fails has a row that says so."""
    rows = []
    with Progress(console=console) as progress:
        bar = progress.add_task("streams", total=len(chosen))
        for cell in chosen:
            progress.update(bar, description="{}, {}: {} x {} B".format(*cell))
            count = item_count(cell, scale)
            try:
                rows.append(await run(cell, count))
            except Exception as exc:  # noqa: BLE001  any system's: the others' rows come even so
                while isinstance(exc, ExceptionGroup):
                    exc = exc.exceptions[0]
                console.print(f"no row: {cell}: {exc!r}"[:300])
            progress.advance(bar)
    return rows


def judge(rows: Sequence[dict[str, Any]], cost: float) -> dict[str, bool]:
    """The goals of which there are figures, and whether each is met."""

    def rate(system: str, wire: str, size: int) -> float:
        found = [
            r for r in rows if (r["system"], r["wire"], r["item_bytes"]) == (system, wire, size)
        ]
        return max((r["items_per_s"] for r in found if r["streams"] == 1), default=0)

    large, small = SIZES
    websocket, webrtc = rate("actr", "websocket", large), rate("actr", "webrtc", large)
    goals = (
        (websocket, 2, "grpc.aio", "http/2", large),
        (websocket, 1, "websockets", "websocket", large),
        (webrtc, 1.5, "aiortc", "webrtc", large),
        (rate("actr", "websocket", small), 6, "grpc.aio", "http/2", small),
    )
    holds = {f"dispatch of an item at most {DISPATCH_GOAL_US:g} us": cost <= DISPATCH_GOAL_US}
    for ours, factor, system, wire, size in goals:
        theirs = rate(system, wire, size)
        if ours and theirs:
            name = "WebRTC" if wire == "webrtc" else "WebSocket"
            holds[f"{name}, {size} B: at least {factor:g} x {system}"] = ours >= factor * theirs
    return holds


def main() -> None:
    """Parse the arguments, measure, report; exit status 1 where a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, nargs="+", default=STREAMS)
    parser.add_argument("--size", type=int, nargs="+", default=SIZES, help="bytes of an item")
    parser.add_argument("--only", default="", help="word of the systems or wires to measure")
    parser.add_argument("--scale", type=float, default=1.0, help="more or fewer items")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if min(*arguments.streams, *arguments.size, 1) < 1:
        parser.error("--streams and --size are at least 1")
    every = cells(arguments.streams, arguments.size)
    chosen = [cell for cell in every if arguments.only in f"{cell[0]} {cell[1]}"]
    rows = uvloop.run(measure(chosen, arguments.scale))
    cost = round(asyncio.run(dispatch(20_000)), 1)
    if rows:
        show("Streams", rows)
    console.print(f"dispatch: {cost} us of CPU an item")
    holds = judge(rows, cost)
    for goal, is_met in holds.items():
        console.print(f"{'yes' if is_met else 'NO':>4}  {goal}")
    if arguments.json:
        write_json({"rows": rows, "dispatch_us_per_item": cost, "holds": holds})
    sys.exit(not all(holds.values()) or len(rows) < len(chosen))


if __name__ == "__main__":
    main()
