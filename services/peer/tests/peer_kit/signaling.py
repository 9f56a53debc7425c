"""A signaling service as a process of its own, and an actor that is reached by it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from actr_peer import ActrId, NodeConfig, WireKind


@asynccontextmanager
async def signaling_service() -> AsyncIterator[str]:
    """The URL of a signaling service that runs as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "actr_signaling",
        env={"ACTR_SIGNALING__LISTEN": "127.0.0.1:0", "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            ready = json.loads(await process.stdout.readline())
        yield ready["url"]
    finally:
        process.terminate()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


def config(name: str, url: str, **more: object) -> NodeConfig:
    """An actor that is reached over WebSocket, and keeps nothing."""
    actor = ActrId("acme", name, "1")
    return NodeConfig(id=actor, signaling_url=url, prefer=(WireKind.WEBSOCKET,), **more)  # type: ignore[arg-type]
