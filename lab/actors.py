"""Peers of :mod:`lab.traffic` on the hosts of a network, as a run drives them."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from lab import record
from lab.hosts import Network, signaling_url
from lab.processes import Child
from lab.record import Record, Verdict

ANSWER_SECONDS = 60.0
LIBRARY = "bench.rivals.library"


class OrderError(RuntimeError):
    """A peer could not do what it was told.

    Attributes:
        kind: Name of the error's class in the peer.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


class Actor:
    """One peer process; made by :func:`actor`."""

    def __init__(self, name: str, folder: Path, process: Child) -> None:
        self.name = name
        self.id = f"bench:{name}@1:default"
        self.events: list[dict[str, Any]] = []
        """What it told without being asked, oldest first."""
        self._folder = folder
        self._process = process
        self._has_told = asyncio.Event()
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def listen(self) -> None:
        """Sort what it says, until it ends."""
        while True:
            try:
                line = await self._process.line(timeout=3600)
            except RuntimeError as exc:
                for future in self._answers.values():
                    if not future.done():
                        future.set_exception(exc)
                return
            future_or_none = self._answers.pop(line.pop("id", 0), None)
            if future_or_none is None:
                self.events.append(line)
                self._has_told.set()
            elif not future_or_none.done():
                future_or_none.set_result(line)

    async def ask(self, do: str, **values: object) -> dict[str, Any]:
        """Have it do something; return its answer.

        Raises:
            OrderError: If it could not.
        """
        number = next(self._numbers)
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._process.tell(id=number, do=do, **values)
        async with asyncio.timeout(ANSWER_SECONDS):
            answer: dict[str, Any] = await future
        if "error" in answer:
            raise OrderError(answer["error"], answer["detail"])
        return answer

    def told(self, event: str, **values: object) -> list[dict[str, Any]]:
        """Events of this name that have these values."""
        return [
            line
            for line in self.events
            if line["event"] == event and all(line.get(k) == v for k, v in values.items())
        ]

    async def hear(self, event: str, *, within: float) -> None:
        """Wait until it has told of this."""
        async with asyncio.timeout(within):
            while not self.told(event):
                self._has_told.clear()
                await self._has_told.wait()

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self._process.kill()

    def freeze(self) -> None:
        self._process.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.process.send_signal(signal.SIGCONT)

    def accepted(self) -> list[Record]:
        """What its runtime took, over all processes of this name."""
        return record.read(self._folder / f"{self.name}.accepted")

    def arrived(self) -> list[Record]:
        """What reached its handlers and callbacks."""
        return record.read(self._folder / f"{self.name}.arrived")


@asynccontextmanager
async def actor(
    net: Network,
    host: str,
    folder: Path,
    *,
    name: str = "",
    module: str = "lab.traffic",
    options: Mapping[str, object] | None = None,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Actor]:
    """A peer on a host, called like it; ``folder`` has its mailbox and its records.

    Args:
        options: Fields of its configuration.
        module: What it runs, besides ``lab.traffic``: something that stands in for it.
    """
    name = name or host
    arguments = [module, name, str(folder)]
    if module != LIBRARY:
        arguments += [signaling_url(host), json.dumps(options or {})]
    async with net.process(host, *arguments, env=env) as process:
        while (await process.line()).get("event") != "ready":
            pass
        started = Actor(name, folder, process)
        listener = asyncio.get_running_loop().create_task(started.listen())
        try:
            yield started
        finally:
            if process.process.returncode is None:
                started.thaw()
            listener.cancel()


def verdicts(sender: Actor, receiver: Actor) -> dict[str, Verdict]:
    """Compare what the one accepted with what the other got, lane by lane."""
    accepted, arrived = sender.accepted(), receiver.arrived()
    return {lane: record.compare(accepted, arrived, lane) for lane in record.LANES}
