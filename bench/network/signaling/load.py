"""The load, in a process of its own: what to measure, of which system, and where it listens.

Prints one JSON line: what the service's process, which is looked at from outside, has used.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import psutil
import uvloop

from bench.network.signaling.dialects import DIALECTS, PAYLOAD_BYTES, Bare, frame
from bench.report import percentile

PAIRS = 16
WINDOW = 16
"""Messages of a pair that are under way, at saturation."""
PER_ADDRESS = 1_000
"""Connections: a service takes no more than some of one address."""
AT_ONCE = 16
"""Connections that are made at the same time."""
WARM = 100
IDLE = 1_000
PACE = 0.001
"""Seconds between two bursts at half load."""
_PING, _PONG = 9, 10


class Client(asyncio.Protocol):
    """One connection.

    Args:
        arrived: Called for each message that another client has sent.
    """

    def __init__(self, dialect: Bare, name: str, arrived: Callable[[], None]) -> None:
        self.name = name
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost = asyncio.Event()
        self._dialect = dialect
        self._arrived = arrived
        self._buffer = b""
        self.is_upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        transport.write(
            f"GET {self._dialect.path(self.name)} HTTP/1.1\r\nHost: localhost\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        if not self.is_upgraded:
            head, found, rest = data.partition(b"\r\n\r\n")
            if not found:
                self._buffer = data
                return
            if b" 101 " not in head:
                self.joined.set_exception(ConnectionError(f"no upgrade: {head.decode()}"))
                self.transport.abort()
                return
            self.is_upgraded, data = True, rest
            if self._dialect.greet(self.transport.write):
                self.joined.set_result(None)
        at = 0
        while at + 2 <= len(data):
            length, start = data[at + 1], at + 2
            if length == 126:
                length, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            if start + length > len(data) or start > len(data):
                break
            if length >= PAYLOAD_BYTES:
                self._arrived()
            else:
                self._short(data[at] & 0x0F, data[start : start + length])
            at = start + length
        self._buffer = data[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        if not self.joined.done():
            self.joined.set_exception(ConnectionError(f"{self.name} was not let in"))

    def _short(self, opcode: int, payload: bytes) -> None:
        if opcode == _PING:
            self.transport.write(frame(_PONG, payload))
        elif payload == b"2":  # socket.io's own ping
            self.transport.write(frame(1, b"3"))
        elif self.joined.done() or opcode > 2:
            pass
        elif self._dialect.joins(self.name, payload, self.transport.write):
            self.joined.set_result(None)


class Pair:
    """A sender and its target; of every message it is known when it was sent, for order is kept.

    Args:
        after: Called with this pair for each message that has arrived, in a closed loop.
    """

    def __init__(self, dialect: Bare, number: int, after: Callable[[Pair], None]) -> None:
        self.count = 0
        self.times: deque[float] = deque()
        self.latencies: list[float] = []
        self.is_closed_loop = True
        self._after = after
        self.sender = Client(dialect, f"s{number}", lambda: None)
        self.target = Client(dialect, f"t{number}", self._arrived)
        self._message = dialect.message(self.target.name)

    def send(self) -> None:
        self.times.append(perf_counter())
        self.sender.transport.write(self._message)

    def _arrived(self) -> None:
        self.count += 1
        self.latencies.append(perf_counter() - self.times.popleft())
        if self.is_closed_loop:
            self._after(self)


def _itself(client: Client) -> Client:
    return client


def source(number: int) -> tuple[str, int]:
    """Where the connection of this number comes from: so many are behind one address."""
    block = number // PER_ADDRESS
    return f"127.1.{block // 250}.{block % 250 + 1}", 0


async def connect(clients: list[Client], *ports: int) -> None:
    """Let all of them join, at one port after the other."""
    loop = asyncio.get_running_loop()
    for first in range(0, len(clients), AT_ONCE):
        some = clients[first : first + AT_ONCE]
        for number, client in enumerate(some, first):
            await loop.create_connection(
                partial(_itself, client),
                "127.0.0.1",
                ports[number % len(ports)],
                local_addr=source(number),
            )
        async with asyncio.timeout(30):
            await asyncio.gather(*(client.joined for client in some))


def used(process: psutil.Process) -> float:
    """Seconds of CPU."""
    times = process.cpu_times()
    return times.user + times.system


async def relays(dialect: Bare, port: int, process: psutil.Process, seconds: float) -> Any:
    """At saturation first, then at half of what that was."""
    pairs = [Pair(dialect, number, Pair.send) for number in range(PAIRS)]
    await connect([client for pair in pairs for client in (pair.sender, pair.target)], port)
    for pair in pairs:
        for _ in range(WINDOW):
            pair.send()
    await asyncio.sleep(seconds / 4)
    before, began, count = used(process), perf_counter(), sum(pair.count for pair in pairs)
    await asyncio.sleep(seconds)
    count = sum(pair.count for pair in pairs) - count
    spent, rate = used(process) - before, count / (perf_counter() - began)
    for pair in pairs:
        pair.is_closed_loop = False
    await asyncio.sleep(0.5)
    for pair in pairs:
        pair.latencies.clear()
    await paced(pairs, rate / 2, seconds)
    await asyncio.sleep(0.5)
    late = [each for pair in pairs for each in pair.latencies]
    return {
        "messages_per_second": round(rate),
        "cpu_us": spent / max(1, count) * 1e6,
        "p50_ms": percentile(late, 0.5) * 1e3,
        "p99_ms": percentile(late, 0.99) * 1e3,
    }


async def paced(pairs: list[Pair], rate: float, seconds: float) -> None:
    """Send so many a second, of each pair in turn."""
    began, sent = perf_counter(), 0
    while (now := perf_counter() - began) < seconds:
        while sent < now * rate:
            pairs[sent % len(pairs)].send()
            sent += 1
        await asyncio.sleep(PACE)


async def connections(dialect: Bare, port: int, process: psutil.Process, seconds: float) -> Any:
    """What it costs to let one in, and to have it."""
    warm = [Client(dialect, f"w{number}", lambda: None) for number in range(WARM)]
    await connect(warm, port)
    await asyncio.sleep(seconds / 4)
    before, held = used(process), process.memory_info().rss
    idle = [Client(dialect, f"i{number}", lambda: None) for number in range(IDLE)]
    await connect(idle, port)
    spent = used(process) - before
    await asyncio.sleep(seconds / 4)
    return {
        "accept_ms": spent / IDLE * 1e3,
        "idle_kb": (process.memory_info().rss - held) / IDLE / 1024,
    }


async def run(what: str, system: str, port: int, pid: int, seconds: float) -> None:
    """Measure the one, and print it."""
    measured = {"relays": relays, "connections": connections}[what]
    row = await measured(DIALECTS[system], port, psutil.Process(pid), seconds)
    sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    uvloop.run(
        run(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
    )
