"""Streams that begin together, wait, and send: the cost of an item, of an end, and of waiting."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.many.floor import floor
from bench.rivals.streams import UPLOADS, Upload
from bench.stream import PAGE, TICKS, actr
from lab.processes import child

MANY = 5000
ITEM = 100
DONE_SECONDS = 60.0


class Processes:
    """This process, and a second one where there is one."""

    def __init__(self, far: int | None) -> None:
        self._pids = [os.getpid(), *([far] if far is not None else [])]

    def cpu(self) -> float:
        """Seconds of CPU that they have used."""
        used = 0.0
        for pid in self._pids:
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += (int(stat[11]) + int(stat[12])) / TICKS
        return used

    def resident(self) -> list[int]:
        """Bytes of memory of each."""
        return [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE for pid in self._pids]


class Crowd:
    """Uploads that begin together, wait for ``go``, and send so many items each."""

    def __init__(self, upload: Upload, streams: int, count: int) -> None:
        self.go = asyncio.Event()
        self.longest: list[float] = []
        """Seconds that each stream waited for one of its items, at most."""
        self._upload = upload
        self._streams = streams
        self._count = count
        self._begun = 0
        self._all_begun = asyncio.Event()
        self._data = bytes(ITEM)

    async def _items(self) -> AsyncIterator[bytes]:
        yield self._data
        self._begun += 1
        if self._begun == self._streams:
            self._all_begun.set()
        await self.go.wait()
        longest, before = 0.0, time.perf_counter()
        for _ in range(self._count):
            yield self._data
            now = time.perf_counter()
            longest, before = max(longest, now - before), now
        self.longest.append(longest)

    async def run(self, processes: Processes) -> tuple[float, int]:
        """Seconds of CPU from ``go`` to the last reply, and bytes of memory of all that waited."""
        before = sum(processes.resident())
        async with asyncio.timeout(DONE_SECONDS), asyncio.TaskGroup() as group:
            replies = [group.create_task(self._upload(self._items())) for _ in range(self._streams)]
            await self._all_begun.wait()
            await asyncio.sleep(0.5)  # the last items arrive
            idle, used = sum(processes.resident()) - before, processes.cpu()
            self.go.set()
            taken = sum(await asyncio.gather(*replies))
        if taken != self._streams * (self._count + 1) * ITEM:
            raise AssertionError(f"{taken} bytes arrived")
        return processes.cpu() - used, idle


async def measure(system: str, wire: str, streams: int, total: int) -> dict[str, Any]:
    """One row; ``total`` is the number of items of all streams."""
    is_ours = system == "actr"
    if system == "asyncio":
        return row(system, wire, streams, {"cpu_us_per_item": await floor(streams, total)})
    async with AsyncExitStack() as stack:
        if system == "actr":
            upload, far = await stack.enter_async_context(actr(wire))
        else:
            process = await stack.enter_async_context(child(["bench.rivals.streams", system]))
            port, far = (await process.line())["port"], process.pid
            upload = await stack.enter_async_context(UPLOADS[system](port))
        processes = Processes(far)
        ends, idle = await Crowd(upload, streams, 0).run(processes) if is_ours else (0.0, 0)
        crowd = Crowd(upload, streams, total // streams)
        spent, _ = await crowd.run(processes)
        items = total // streams * streams
        return row(
            system,
            wire,
            streams,
            {
                "cpu_us_per_item": max(spent - ends, 0.0) / items * 1e6,
                # Of a few streams they are below what the system's counters tell.
                "end_us": ends / streams * 1e6 if streams == MANY else 0.0,
                "idle_kb": idle / streams / 1000 if streams == MANY else 0.0,
                "waits": max(crowd.longest) / max(statistics.median(crowd.longest), 1e-9),
            },
        )


def row(system: str, wire: str, streams: int, figures: dict[str, float]) -> dict[str, Any]:
    """A row that has all keys."""
    keys = ("cpu_us_per_item", "end_us", "idle_kb", "waits")
    rounded = {key: round(figures.get(key, 0.0), 1) for key in keys}
    return {"system": system, "wire": wire, "streams": streams, **rounded}
