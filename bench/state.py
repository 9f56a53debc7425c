"""The state path against its peers: ``make bench-state [SECONDS=2] [ROUNDS=3] [JSON=1]``.

Rows, each at 1, 16 and 256 calls in flight, between two processes on one machine:

- ``actr durable``: a unary call on the WebSocket wire; the callee's mailbox has it on disk
  (``synchronous=FULL``) before it is acknowledged.
- ``actr durable, outbox``: the same with ``durable=True``: on the caller's disk as well.
- ``actr in memory``: the same call with the mailbox in memory.
- ``grpc.aio unary``: not durable.
- ``sqlite commits``: rows committed with ``synchronous=FULL``, as many in one transaction.

The cells alternate round by round and the median round counts, for machines are noisy.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import psutil
import uvloop

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import System
from bench.report import console, percentile, show, write_json
from bench.rivals.grpc_echo import METHOD
from lab.echo import Echo, node_config
from lab.processes import child, signaling

IN_FLIGHT = (1, 16, 256)
TEXT = "x" * 100

Call = Callable[[], Awaitable[object]]
Cell = tuple[float, list[float]]
"""Calls per second, and each call's seconds."""


async def drive(call: Call, *, in_flight: int, seconds: float) -> Cell:
    """Keep ``in_flight`` calls going for ``seconds``."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def worker() -> None:
        while (started := time.perf_counter()) < end:
            await call()
            times.append(time.perf_counter() - started)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(worker())
    return len(times) / (time.perf_counter() - began), times


def commits(path: Path, *, batch: int, seconds: float) -> Cell:
    """Rows per second that plain SQLite makes durable, ``batch`` in each transaction."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE IF NOT EXISTS rows (number INTEGER PRIMARY KEY, body BLOB)")
    body = b"x" * 200
    times: list[float] = []
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        started = time.perf_counter()
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT INTO rows (body) VALUES (?)", [(body,)] * batch)
        database.execute("COMMIT")
        times.append(time.perf_counter() - started)
        count += batch
    rate = count / (time.perf_counter() - began)
    database.close()
    return rate, times


async def measure(seconds: float, rounds: int) -> list[dict[str, object]]:
    """All cells, alternating; one row a system and number in flight."""
    cells: dict[tuple[str, int], list[Cell]] = {}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="actr-bench-")))
        url = await stack.enter_async_context(signaling())
        names = {"durable": "power", "memory": "memory"}
        for name, durability in names.items():
            peer = await stack.enter_async_context(
                child(["lab.echo", name, url, "websocket", durability, str(folder / f"{name}.db")])
            )
            await peer.line()
        server = await stack.enter_async_context(child(["bench.rivals.grpc_echo"]))
        port = (await server.line())["port"]
        config = node_config("caller", url, "websocket", "power", str(folder / "caller.db"))
        node = await stack.enter_async_context(System(config).attach(Echo()))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        unary = channel.unary_unary(
            METHOD,
            request_serializer=pb.SayRequest.SerializeToString,
            response_deserializer=pb.SayReply.FromString,
        )
        durable = ChatClient(node.ref.to("bench:durable@1:default"))
        memory = ChatClient(node.ref.to("bench:memory@1:default"))
        calls: dict[str, Call] = {
            "actr durable": lambda: durable.say(pb.SayRequest(text=TEXT)),
            "actr durable, outbox": lambda: durable.say(pb.SayRequest(text=TEXT), durable=True),
            "actr in memory": lambda: memory.say(pb.SayRequest(text=TEXT)),
            "grpc.aio unary": lambda: unary(pb.SayRequest(text=TEXT)),
        }
        # A new process faults its memory in, and a new file grows: that is not what is measured.
        for call in calls.values():
            await drive(call, in_flight=max(IN_FLIGHT), seconds=1.5 * seconds)
        for number in range(rounds):
            console.print(f"round {number + 1} of {rounds}")
            for in_flight in IN_FLIGHT:
                # Each system comes first in turn: what ran before a cell is felt in it.
                order = list(calls.items())
                for name, call in order[number % len(order) :] + order[: number % len(order)]:
                    cell = await drive(call, in_flight=in_flight, seconds=seconds)
                    cells.setdefault((name, in_flight), []).append(cell)
                cell = await asyncio.to_thread(
                    commits, folder / "raw.db", batch=in_flight, seconds=seconds
                )
                cells.setdefault(("sqlite commits", in_flight), []).append(cell)
    return [row(name, in_flight, found) for (name, in_flight), found in sorted(cells.items())]


async def watch_memory(calls: int) -> list[dict[str, object]]:
    """The callee's and the caller's resident memory while durable calls go by.

    It grows until the callee remembers as many finished calls as it may (65 536), then stays.
    """
    rows: list[dict[str, object]] = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="actr-bench-")))
        url = await stack.enter_async_context(signaling())
        arguments = ["lab.echo", "callee", url, "websocket", "power", str(folder / "callee.db")]
        peer = await stack.enter_async_context(child(arguments))
        await peer.line()
        config = node_config("caller", url, "websocket", "power", str(folder / "caller.db"))
        node = await stack.enter_async_context(System(config).attach(Echo()))
        room = ChatClient(node.ref.to("bench:callee@1:default"))
        step = calls // 10

        async def some(count: int) -> None:
            for _ in range(count):
                await room.say(pb.SayRequest(text=TEXT))

        for number in range(11):
            if number:
                async with asyncio.TaskGroup() as group:
                    for _ in range(64):
                        group.create_task(some(step // 64))
            rows.append(
                {
                    "calls": number * (step // 64) * 64,
                    "callee_mb": round(psutil.Process(peer.pid).memory_info().rss / 1e6, 1),
                    "caller_mb": round(psutil.Process().memory_info().rss / 1e6, 1),
                }
            )
            console.print(rows[-1])
    return rows


def row(system: str, in_flight: int, cells: list[Cell]) -> dict[str, object]:
    """The median round of one system at one concurrency."""
    return {
        "system": system,
        "in_flight": in_flight,
        "per_s": round(statistics.median(rate for rate, _ in cells), 1),
        "p50_ms": round(statistics.median(percentile(t, 0.5) for _, t in cells) * 1e3, 3),
        "p99_ms": round(statistics.median(percentile(t, 0.99) for _, t in cells) * 1e3, 3),
    }


def main() -> None:
    """Parse the arguments, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each cell")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--memory", type=int, metavar="CALLS", help="watch memory over so many calls instead"
    )
    arguments = parser.parse_args()
    if arguments.memory:
        memory = uvloop.run(watch_memory(arguments.memory))
        show("Resident memory over durable calls", memory)
        if arguments.json:
            write_json({"memory": memory})
        return
    rows = uvloop.run(measure(arguments.seconds, arguments.rounds))
    show("Calls of 100 bytes between two processes", rows)
    if arguments.json:
        write_json({"rows": rows})


if __name__ == "__main__":
    main()
