"""Processes that benchmarks start: a signaling service and peers, gone when their block ends.

:func:`watch` tells what a process does while nothing is asked of it. Its counts are nearly the same
on every machine; the share is that of this one, on this day.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

READY_SECONDS = 30.0
STOP_SECONDS = 10.0
SETTLE_SECONDS = 4.0
"""Traffic of a moment ago still counts as traffic."""


class Child:
    """One child process that speaks JSON lines on its standard output."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @property
    def pid(self) -> int:
        return self.process.pid

    async def line(self, *, timeout: float = READY_SECONDS) -> dict[str, Any]:
        """The next JSON line.

        Raises:
            RuntimeError: If the process ended instead.
        """
        assert self.process.stdout is not None
        async with asyncio.timeout(timeout):
            text = await self.process.stdout.readline()
        if not text:
            raise RuntimeError(f"process {self.pid} ended with {await self.process.wait()}")
        value: dict[str, Any] = json.loads(text)
        return value

    async def tell(self, **values: object) -> None:
        """Send one JSON line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(values).encode() + b"\n")
        await self.process.stdin.drain()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; harmless when the process has ended.

        Not through the process object: that polls first, and so may reap the child before the
        loop's own watcher does, which then reports status 255.
        """
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.signal(signal.SIGKILL)

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL when that takes too long."""
        if self.process.returncode is None:
            self.signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self.process.wait()
            except TimeoutError:
                self.kill()
        await self.process.wait()


@asynccontextmanager
async def child(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> AsyncIterator[Child]:
    """``python -m …`` as a child, run by the command ``prefix``; its standard error is ours."""
    process = await asyncio.create_subprocess_exec(
        *prefix,
        sys.executable,
        "-m",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
        limit=1 << 24,
    )
    started = Child(process)
    try:
        yield started
    finally:
        await started.stop()


@asynccontextmanager
async def signaling() -> AsyncIterator[str]:
    """A signaling service on memory; yields its URL."""
    env = {"ACTR_SIGNALING__LISTEN": "127.0.0.1:0", "ACTR_SIGNALING__LOG_LEVEL": "error"}
    async with child(["actr_signaling"], env=env) as process:
        yield (await process.line())["url"]


class Calls:
    """Counts the Python functions that are called, in its block."""

    def __init__(self) -> None:
        self.by_code: Counter[CodeType] = Counter()

    def _count(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            self.by_code[frame.f_code] += 1

    def __enter__(self) -> Calls:
        threading.setprofile(self._count)  # threads that begin from now on
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)


async def watch(
    seconds: float, *, settle: float = SETTLE_SECONDS, calls: Callable[[Calls], None] | None = None
) -> dict[str, Any]:
    """Look on for so long, twice: what is used first, what is called after that."""
    await asyncio.sleep(settle)
    used, woken = time.process_time(), _woken()
    await asyncio.sleep(seconds)
    used, woken = time.process_time() - used, _woken() - woken
    with Calls() as counted:
        await asyncio.sleep(seconds)
    if calls is not None:
        calls(counted)
    return {
        "share": round(100 * used / seconds, 3),
        "wakes": round(woken / seconds, 1),
        "calls": round(sum(counted.by_code.values()) / seconds),
    }


def spent(pid: int) -> float:
    """CPU time of a process, seconds, of both kinds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def own_kb() -> int:
    """Memory of this process that is its own alone, kB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def _woken() -> int:
    """How often the threads of this process had nothing to do, and went on later."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
