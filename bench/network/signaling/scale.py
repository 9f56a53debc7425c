"""What grows with peers: one service under more and more, two around Redis, and storms."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from actr_peer.tasks import Tasks
from bench.network.signaling import crowd, model, shared, store, storm
from bench.report import console
from lab.processes import Child, child, spent

LIMITS = (
    "MESSAGES_PER_SECOND",
    "MESSAGES_BURST",
    "BYTES_PER_SECOND",
    "BYTES_BURST",
    "CONNECTIONS_PER_SECOND",
)
NEWEST = 240.0
"""Seconds for the largest crowd to join and be measured."""
AWAY = 0.2
"""Seconds from the kill of a service to the next start."""
LOOKS = 0.5
"""Seconds between two looks at the CPU of a service."""
PAIRED = 100
"""Peers of two replicas."""
Row = dict[str, Any]
Told = Callable[[str], None]


@asynccontextmanager
async def actr(
    *, bounded: bool = False, settings: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[Child, int]]:
    """This project's service, and its port.

    Args:
        settings: Without the prefix of their names.
        bounded: With the limits of each address and connection that it has by default; else with
            none that a load of one address meets.
    """
    named = {"LISTEN": "127.0.0.1:0", "LOG_LEVEL": "error", **(settings or {})}
    if not bounded:
        named |= dict.fromkeys(LIMITS, "1e12")
    env = {f"ACTR_SIGNALING__{name}": value for name, value in named.items()}
    async with child(["actr_signaling"], env=env) as process:
        url = (await process.line())["url"]
        yield process, urlsplit(url).port or 0


@asynccontextmanager
async def redis() -> AsyncIterator[tuple[int, int]]:
    """A server that keeps nothing: its process id and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="actr-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            *("redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", folder),
            *(
                "--save",
                "",
                "--appendonly",
                "no",
                "--loglevel",
                "warning",
                "--logfile",
                f"{folder}/log",
            ),
        )
        try:
            await _until_listening(port)
            yield process.pid, port
        finally:
            process.terminate()
            await process.wait()


async def _until_listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


async def _measured(
    system: str, count: int, seconds: float, ports: list[int], pids: list[int]
) -> Row:
    listed = [",".join(str(number) for number in numbers) for numbers in (ports, pids)]
    async with child([crowd.__name__, system, str(count), str(seconds), *listed]) as load:
        return await load.line(timeout=NEWEST + 4 * seconds)


async def crowds(counts: list[int], seconds: float, told: Told) -> list[Row]:
    """One service on memory, new for each number of peers."""
    rows = []
    for count in counts:
        told(f"{count:,} peers")
        async with actr() as (process, port):
            row = await _measured("actr", count, seconds, [port], [process.pid])
        rows.append(row | {"idle_to_model": row["idle_kb"] * count / model.memory_kb(count)})
    return rows


async def stored(told: Told) -> list[Row]:
    """What an entry of presence costs Redis, and each service around it."""
    if shutil.which("redis-server") is None:
        return []
    told("entries of presence")
    async with redis() as (pid, port):
        return [await store.measure(pid, port)]


async def replicas(seconds: float, rounds: int, told: Told) -> list[Row]:
    """Two services around one Redis, whose senders are here and targets there, in turn."""
    if shutil.which("redis-server") is None:
        console.print("left out, for want of redis-server: two replicas")
        return []
    rows = []
    for _ in range(rounds):
        for system, pair in (("actr", _two), ("picows", _two_bare)):
            told(f"{system}, two and Redis")
            async with pair() as (ports, pids):
                row = await _measured(system, PAIRED, seconds, ports, pids)
            rows.append({"system": system, **{name: row[name] for name in row if name in _SHOWN}})
    return rows


_SHOWN = ("messages_per_second", "cpu_us", "half_cpu_us", "p50_ms", "p99_ms", "lost")


@asynccontextmanager
async def _two() -> AsyncIterator[tuple[list[int], list[int]]]:
    async with AsyncExitStack() as stack:
        pid, port = await stack.enter_async_context(redis())
        url = f"redis://127.0.0.1:{port}/0"
        started = [
            await stack.enter_async_context(actr(settings={"REDIS_URL": url})) for _ in range(2)
        ]
        yield [port for _, port in started], [*(process.pid for process, _ in started), pid]


@asynccontextmanager
async def _two_bare() -> AsyncIterator[tuple[list[int], list[int]]]:
    async with AsyncExitStack() as stack:
        pid, port = await stack.enter_async_context(redis())
        ports, pids = [], [pid]
        for names in (("a", "b"), ("b", "a")):
            arguments = [shared.__name__, str(port), *names]
            process = await stack.enter_async_context(child(arguments))
            ports.append((await process.line())["port"])
            pids.append(process.pid)
        yield ports, pids


async def storms(counts: list[int], per_address: int, told: Told) -> list[Row]:
    """Kill a service with SIGKILL, start it again at the same port, wait until all are back."""
    rows = []
    for count in counts:
        told(f"{count:,} peers come back")
        async with AsyncExitStack() as stack:
            before, port = await stack.enter_async_context(actr(bounded=True))
            arguments = [storm.__name__, str(count), str(port), str(per_address)]
            peers = await stack.enter_async_context(child(arguments))
            await peers.line(timeout=NEWEST)
            before.kill()
            await before.process.wait()
            await asyncio.sleep(AWAY)
            began = perf_counter()
            listen = {"LISTEN": f"127.0.0.1:{port}"}
            after, _ = await stack.enter_async_context(actr(bounded=True, settings=listen))
            started, used = perf_counter() - began, spent(after.pid)
            async with Tasks("bench") as tasks:
                look = Busiest(after.pid)
                tasks.start("look", look.on())
                row = await peers.line(timeout=NEWEST)
            used = spent(after.pid) - used
            rows.append({
                **{name: value for name, value in row.items() if name != "failed"},
                "start_s": started,
                "cpu_s": used,
                "cpu_ms": used / count * 1e3,
                "busiest": look.share,
                "failed": " ".join(f"{name} {number}" for name, number in row["failed"].items()),
            })  # fmt: skip
    return rows


class Busiest:
    """The largest share of a core that a process has in any :data:`LOOKS` seconds."""

    def __init__(self, pid: int) -> None:
        self.share = 0.0
        self._pid = pid

    async def on(self) -> None:
        """Look on, until this is cancelled."""
        while True:
            began, used = perf_counter(), spent(self._pid)
            await asyncio.sleep(LOOKS)
            self.share = max(self.share, (spent(self._pid) - used) / (perf_counter() - began))
