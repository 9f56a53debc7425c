"""A signaling service as a process of its own, and an actor that is reached by it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from actr_peer import ActrId, NodeConfig, WireKind


class SignalingService:
    """The process, while the block runs; it may be stopped, and started again on its port.

    Args:
        secret: The file of the realm secret; None: development mode.
        settings: Others, by the name of their variable without its beginning.
    """

    def __init__(self, secret: Path | None = None, *, port: int = 0, **settings: str) -> None:
        self.url = ""
        self._settings = {"LISTEN": f"127.0.0.1:{port}", "DRAIN": "1", **settings}
        if secret is not None:
            self._settings["REALM_SECRET_FILE"] = str(secret)
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        own = {name: value for name, value in os.environ.items() if "ACTR_" not in name}
        own |= {f"ACTR_SIGNALING__{name}": value for name, value in self._settings.items()}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "actr_signaling",
            env=own,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            self.url = json.loads(await self._process.stdout.readline())["url"]

    async def stop(self, *, is_killed: bool = False) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill() if is_killed else process.terminate()
            await process.communicate()


@asynccontextmanager
async def signaling_service(secret: bytes | None = None) -> AsyncIterator[str]:
    """The URL of a signaling service; without a secret of its realm in development mode."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "secret"
        file.write_bytes(secret or b"")
        async with SignalingService(file if secret else None) as service:
            yield service.url


def config(name: str, url: str, **more: object) -> NodeConfig:
    """An actor that is reached over WebSocket, and keeps nothing."""
    actor = ActrId("acme", name, "1")
    return NodeConfig(id=actor, signaling_url=url, prefer=(WireKind.WEBSOCKET,), **more)  # type: ignore[arg-type]
