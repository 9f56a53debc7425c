"""A replica as a process of its own, which a test may stop, kill and freeze."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from types import TracebackType
from typing import Self

from signaling_kit.client import PATIENCE, abort_clients


class ReplicaProcess:
    """An async context manager: ready inside, gone after; settings as in the environment."""

    def __init__(self, **settings: object) -> None:
        self.url = ""
        self.log = b""
        self._settings = {"listen": "127.0.0.1:0", "log_format": "json", **settings}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    async def __aenter__(self) -> Self:
        named = {f"ACTR_SIGNALING__{k.upper()}": str(v) for k, v in self._settings.items()}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "actr_signaling",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **named},
        )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE):
                line = await self._process.stdout.readline()
        except BaseException:
            self._process.kill()
            await self._process.communicate()
            raise
        assert line, (await self._process.communicate())[1].decode()
        self.url = json.loads(line)["url"]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.returncode is None:
            self.process.kill()
        _, rest = await self.process.communicate()
        self.log += rest
        abort_clients(self.url)

    def terminate(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        self.process.kill()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def exited(self) -> int:
        """The exit status, when it has ended by itself."""
        async with asyncio.timeout(PATIENCE):
            _, self.log = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode
