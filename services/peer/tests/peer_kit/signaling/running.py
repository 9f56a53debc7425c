"""The real ``actr-issuer`` as a process of its own, and its operator's verbs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, Self


class RealIssuer:
    """The process, while the block runs.

    Args:
        home: Its folder; readers find ``keys.json`` and ``revoked.json`` in :attr:`public`.
        settings: Others, by the name of their variable without its beginning.
    """

    def __init__(self, home: Path, **settings: str) -> None:
        self.url = ""
        self.public = home / "public"
        self._settings = {"HOME": str(home), "LISTEN": "127.0.0.1:0", **settings}
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "actr_signaling.issuer", "serve"),
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        async with asyncio.timeout(60):
            self.url = json.loads(await process.stdout.readline())["url"]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            await process.communicate()

    async def do(self, *verb: str) -> Any:
        """What a verb of ``actr-issuer`` answers."""
        asked = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "actr_signaling.issuer", *verb, "--json"),
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await asked.communicate()
        assert asked.returncode == 0, verb
        return json.loads(said)

    @property
    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if "ACTR_" not in name}
        return own | {f"ACTR_ISSUER__{name}": value for name, value in self._settings.items()}
