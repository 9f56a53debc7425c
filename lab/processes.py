"""Processes that benchmarks start: a signaling service and peers, gone when their block ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

READY_SECONDS = 30.0
STOP_SECONDS = 10.0


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
