"""Many peers, in a process of its own: ``crowd SYSTEM COUNT SECONDS PORTS PIDS``, with commas.

Half of them send to the other half, which is at the last of the ports. First nobody says more than
heartbeats; then messages go from pair to pair, :data:`STEADY` a second; then as many as there is
room for, :data:`UNDER_WAY` at a time; then half of that. Prints one JSON line: what the processes
have used, all of them together.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from itertools import cycle
from time import perf_counter
from typing import Any

import psutil
import uvloop

from actr_peer.tasks import Tasks
from bench.network.signaling.dialects import BEAT, DIALECTS, Bare
from bench.network.signaling.load import Client, Pair, connect, paced, used
from bench.report import percentile

STEADY = 500.0
"""Messages a second, whatever the number of peers: each is alone on its connection."""
UNDER_WAY = 256
TICKS = 100
"""Parts of the interval between heartbeats, in which some beat."""
SETTLE = 1.5
"""Seconds from the last that joined: replicas know the same by then."""


class Meter:
    """Looks at processes from outside."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]
        self._began, self._used = 0.0, 0.0
        self.start()

    @property
    def resident(self) -> int:
        """Bytes."""
        return sum(process.memory_info().rss for process in self._processes)

    def start(self) -> None:
        self._began, self._used = perf_counter(), self._all()

    def stop(self) -> tuple[float, float]:
        """Seconds that have passed, and of CPU."""
        return perf_counter() - self._began, self._all() - self._used

    def _all(self) -> float:
        return sum(used(process) for process in self._processes)


async def beat(clients: Sequence[Client], message: bytes) -> None:
    """Keep those alive that have joined, until this is cancelled."""
    for tick in cycle(range(TICKS)):
        await asyncio.sleep(BEAT / TICKS)
        for client in clients[tick::TICKS]:
            if client.joined.done():
                client.transport.write(message)


async def measure(
    dialect: Bare, count: int, seconds: float, ports: Sequence[int], meter: Meter
) -> dict[str, Any]:
    """One row."""
    pairs = [Pair(dialect, number, lambda _: next(turns).send()) for number in range(count // 2)]
    turns = cycle(pairs)
    clients = [client for pair in pairs for client in (pair.sender, pair.target)]
    held = meter.resident
    async with Tasks("bench") as tasks:
        if dialect.beat():
            tasks.start("beat", beat(clients, dialect.beat()))
        meter.start()
        await connect(clients, *ports)
        joining, joined = meter.stop()
        await asyncio.sleep(SETTLE)
        held = meter.resident - held
        meter.start()
        await asyncio.sleep(seconds)
        passed, idle = meter.stop()
        row = {
            "peers": count,
            "join_s": joining,
            "accept_ms": joined / count * 1e3,
            "idle_kb": held / count / 1024,
            "idle_us": idle / passed / count * 1e6,
        }
        steady, _ = await _paced(pairs, STEADY, seconds, meter)
        row["steady_us"] = steady - idle / passed / STEADY * 1e6
        return row | await relays(pairs, seconds, meter)


async def relays(pairs: Sequence[Pair], seconds: float, meter: Meter) -> dict[str, Any]:
    """At saturation, and at half of that."""
    for pair in pairs:
        pair.is_closed_loop = True
    for number in range(UNDER_WAY):
        pairs[number % len(pairs)].send()
    await asyncio.sleep(seconds / 4)
    before = sum(pair.count for pair in pairs)
    meter.start()
    await asyncio.sleep(seconds)
    passed, spent = meter.stop()
    count = sum(pair.count for pair in pairs) - before
    rate = count / passed
    half, late = await _paced(pairs, rate / 2, seconds, meter)
    return {
        "messages_per_second": round(rate),
        "cpu_us": spent / max(1, count) * 1e6,
        "half_cpu_us": half,
        "p50_ms": percentile(late, 0.5) * 1e3,
        "p99_ms": percentile(late, 0.99) * 1e3,
        "lost": sum(len(pair.times) for pair in pairs),
    }


async def _paced(
    pairs: Sequence[Pair], rate: float, seconds: float, meter: Meter
) -> tuple[float, list[float]]:
    """Microseconds of CPU for each message at a rate, and the latencies, seconds."""
    for pair in pairs:
        pair.is_closed_loop = False
    await asyncio.sleep(0.5)
    for pair in pairs:
        pair.latencies.clear()
    meter.start()
    await paced(list(pairs), rate, seconds)
    _, spent = meter.stop()
    await asyncio.sleep(0.5)
    late = [each for pair in pairs for each in pair.latencies]
    return spent / max(1, len(late)) * 1e6, late


async def run(system: str, count: int, seconds: float, ports: str, pids: str) -> None:
    """Measure, and print it."""
    meter = Meter([int(pid) for pid in pids.split(",")])
    to = [int(port) for port in ports.split(",")]
    row = await measure(DIALECTS[system], count, seconds, to, meter)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], sys.argv[5]))
