"""Peers that come back when their service was killed: ``storm COUNT PORT PER_ADDRESS``.

Each waits between attempts as a peer does (``actr_peer.protocol.wire.backoff``). Prints one JSON
line when all are in, and one when all are in again, with what it took since the first was cut off.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from contextlib import suppress
from functools import partial
from itertools import cycle
from time import perf_counter
from typing import Any

import uvloop

from actr_peer.protocol.wire.backoff import Backoff
from actr_peer.tasks import Tasks
from bench.network.signaling.crowd import TICKS
from bench.network.signaling.dialects import BEAT, DIALECTS, Bare
from bench.network.signaling.load import PER_ADDRESS, Client, source

OPEN = 5.0
"""Seconds for a connection and its upgrade, as a peer has."""
GIVE_UP = 90.0
PACE = 0.003
"""Seconds between two that come for the first time."""


class Peer:
    """One that comes again, until it is in."""

    def __init__(self, storm: Storm, number: int) -> None:
        self.client: Client | None = None
        self._storm = storm
        self._number = number

    async def live(self) -> None:
        """Come, stay until it is cut off, and come again, until this is cancelled."""
        backoff, storm = Backoff(), self._storm
        while True:
            self.client = client = Client(storm.dialect, f"p{self._number}", lambda: None)
            try:
                await self._come(client)
                backoff.succeeded()
                storm.came()
                await client.lost.wait()
                storm.cut()
            except (OSError, TimeoutError) as exc:
                storm.failed[type(exc).__name__] += 1
            await asyncio.sleep(backoff.failed(random.random()))  # noqa: S311

    async def _come(self, client: Client) -> None:
        storm, loop = self._storm, asyncio.get_running_loop()
        storm.attempts += 1
        at = source(self._number * storm.spread)
        async with asyncio.timeout(OPEN):
            await loop.create_connection(
                partial(_itself, client), "127.0.0.1", storm.port, local_addr=at
            )
        late = loop.call_later(OPEN, _abort_late, client)
        try:
            await client.joined
        finally:
            late.cancel()


def _abort_late(client: Client) -> None:
    if not client.is_upgraded:
        client.transport.abort()


def _itself(client: Client) -> Client:
    return client


class Storm:
    """All of them."""

    def __init__(self, count: int, port: int, per_address: int) -> None:
        self.port = port
        self.dialect: Bare = DIALECTS["actr"]
        self.spread = PER_ADDRESS // per_address
        self.attempts = 0
        self.failed: Counter[str] = Counter()
        self.times: list[float] = []
        self.peers = [Peer(self, number) for number in range(count)]
        self.all_in = asyncio.Event()
        self.is_cut = asyncio.Event()
        self._since = perf_counter()

    def came(self) -> None:
        """One is in."""
        self.times.append(perf_counter() - self._since)
        if len(self.times) == len(self.peers):
            self.all_in.set()

    def cut(self) -> None:
        """One was cut off; from the first on, times are counted."""
        if not self.is_cut.is_set():
            self.is_cut.set()
            self._since = perf_counter()
            self.attempts = 0
            self.failed.clear()
            self.times.clear()
            self.all_in.clear()

    async def until_all_in(self) -> dict[str, Any]:
        """Wait for them, not for ever; returns what it took."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVE_UP):
                await self.all_in.wait()
        return {
            "peers": len(self.peers),
            "back": len(self.times),
            "half_s": self._time(0.5),
            "p99_s": self._time(0.99),
            "all_s": self._time(1.0),
            "attempts": self.attempts,
            "failed": dict(self.failed),
        }

    def _time(self, share: float) -> float | None:
        """Seconds until such a share of all was in; None: that has not come about."""
        wanted = max(1, round(share * len(self.peers)))
        return sorted(self.times)[wanted - 1] if wanted <= len(self.times) else None

    async def beat(self) -> None:
        """Keep those alive who are in, until this is cancelled."""
        message = self.dialect.beat()
        for tick in cycle(range(TICKS)):
            await asyncio.sleep(BEAT / TICKS)
            for peer in self.peers[tick::TICKS]:
                client = peer.client
                if client is not None and client.joined.done() and not client.lost.is_set():
                    client.transport.write(message)


def say(row: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


async def run(count: int, port: int, per_address: int) -> None:
    """Come, say so, and come again after the cut."""
    async with Tasks("storm") as tasks:
        storm = Storm(count, port, per_address)
        tasks.start("beat", storm.beat())
        for peer in storm.peers:
            tasks.start("peer", peer.live())
            await asyncio.sleep(PACE)
        say(await storm.until_all_in())
        await storm.is_cut.wait()
        say(await storm.until_all_in())


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
