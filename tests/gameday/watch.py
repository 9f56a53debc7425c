"""A real Prometheus with the rules of ``deploy/observability``, in which time goes faster.

What is a minute there is two seconds here: all durations of the rules are divided, so that the
questions are the same. Nothing else of them is changed.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

RULES = Path(__file__).resolve().parents[2] / "deploy/observability/rules"
FASTER = 30
"""Times: ten minutes of a rule are 20 s, and the life of a certificate, 900 s, is the least, 30."""
INTERVAL_MS = 15_000 // FASTER
LOOK = 0.1
"""Seconds between two looks at what has no event: which alerts there are."""
READY_SECONDS = 60.0
SECONDS = {"s": 1, "m": 60, "h": 3600}
DURATION = re.compile(
    r"(?<=\[)(\d+)([smh])(?=\])|(?<=offset )(\d+)([mh])\b|(?<=for: )(\d+)([smh])\b"
)
LEFT = re.compile(r"(?<=- time\(\) < )(\d+)")
"""Seconds that a certificate has left: of a life that is shorter, too."""

Found = frozenset[tuple[str, str]]
"""Alerts that fire, each with the actor that it names, or else the instance."""


def faster(rules: str) -> str:
    """The same rules, of durations that are shorter."""

    def shorter(match: re.Match[str]) -> str:
        number, unit = (part for part in match.groups() if part is not None)
        return f"{int(number) * SECONDS[unit] * 1000 // FASTER}ms"

    shortened = DURATION.sub(shorter, rules)
    return LEFT.sub(lambda match: str(int(match[1]) // FASTER), shortened)


def free_port() -> int:
    """A port of the loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Prometheus:
    """The process, while the block runs.

    Args:
        folder: For its files.
        targets: Job to the addresses of its instances.
    """

    def __init__(self, folder: Path, targets: Mapping[str, Sequence[str]]) -> None:
        self._folder, self._targets = folder, targets
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        rules = self._folder / "rules"
        rules.mkdir(parents=True)
        for path in RULES.glob("*.yaml"):
            (rules / path.name).write_text(faster(path.read_text("utf-8")), "utf-8")
        every = f"{INTERVAL_MS}ms"
        config = {
            "global": {
                "scrape_interval": every,
                "scrape_timeout": every,
                "evaluation_interval": every,
            },
            "rule_files": [f"{rules}/*.yaml"],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": list(hosts)}]}
                for job, hosts in self._targets.items()
            ],
        }
        # JSON is YAML
        (self._folder / "prometheus.yml").write_text(json.dumps(config), "utf-8")
        self._url = f"http://127.0.0.1:{free_port()}"
        self._process = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={self._folder}/prometheus.yml",
            f"--storage.tsdb.path={self._folder}/data",
            f"--web.listen-address={self._url.removeprefix('http://')}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await self._watch_all()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _stop(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _watch_all(self) -> None:
        """Return when each target has been asked."""
        count = sum(map(len, self._targets.values()))
        async with asyncio.timeout(READY_SECONDS):
            while True:
                with suppress(OSError):
                    up = await self.ask("query?query=sum(up)")
                    if [each["value"][1] for each in up["result"]] == [str(count)]:
                        return
                await asyncio.sleep(LOOK)

    async def ask(self, path: str) -> Any:
        """What its API answers."""

        def get() -> Any:
            with urlopen(f"{self._url}/api/v1/{path}", timeout=30) as answer:
                return json.loads(answer.read())["data"]

        return await asyncio.to_thread(get)

    async def firing(self) -> Found:
        alerts = (await self.ask("alerts"))["alerts"]
        labels = [alert["labels"] for alert in alerts if alert["state"] == "firing"]
        return frozenset((each["alertname"], each.get("id", each["instance"])) for each in labels)

    async def first(self, seconds: float, *, but: Found = frozenset()) -> Found:
        """The first alerts that fire, within ``seconds``, and are no others than ``but``; none:
        nothing did."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not (found := await self.firing() - but):  # noqa: ASYNC110  no event tells
                    await asyncio.sleep(LOOK)
                return found
        return frozenset()

    async def all(self, seconds: float) -> Found:
        """Every alert that fires at any time in the next ``seconds``."""
        found: set[tuple[str, str]] = set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    found |= await self.firing()
                    await asyncio.sleep(LOOK)
        return frozenset(found)
