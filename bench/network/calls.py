"""Unary calls in memory beside bare echoes: ``make bench-calls [SECONDS=1] [ROUNDS=5] [JSON=1]``.

Rows, each at 1, 64 and 256 in flight, 100 bytes, between two processes on one machine:

- ``actr websocket``, ``actr webrtc``: a typed call on that wire alone, with the mailbox in memory.
- ``grpc.aio``: the same messages, unary.
- ``websockets``, ``picows``, ``aiortc``: what these libraries make of an echo with a number in it,
  with no types, no deadlines, no sessions and no mailbox.

The cells alternate and the median round counts. CPU is of both sides.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import uvloop
from rich.progress import Progress

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import System
from bench.network.paired import Meter
from bench.report import console, percentile, show, write_json
from bench.rivals import echo, naive
from bench.rivals.grpc_echo import METHOD
from bench.state import TEXT, Call, drive
from lab.echo import Echo, node_config
from lab.processes import child, signaling

IN_FLIGHT = (1, 64, 256)
SYSTEMS = ("actr websocket", "actr webrtc", "grpc.aio", "websockets", "picows", "aiortc")
GOALS = (
    # what, of whom, beside whom, in flight, at most so many times (a rate: at least)
    ("p50_ms", "actr websocket", "websockets", 1, 1.5),
    ("p50_ms", "actr webrtc", "aiortc", 1, 1.3),
    ("per_s", "actr websocket", "websockets", 256, 0.7),
    ("per_s", "actr webrtc", "aiortc", 256, 2.5),
)


@asynccontextmanager
async def actr(wire: str) -> AsyncIterator[tuple[Call, int]]:
    """A call over one kind of wire, and the process of the far side."""
    async with (
        signaling() as url,
        child(["lab.echo", "far", url, wire, "memory"]) as far,
        System(node_config("near", url, wire, "memory")).attach(Echo()) as node,
    ):
        await far.line()
        room = ChatClient(node.ref.to("bench:far@1:default"))
        yield lambda: room.say(pb.SayRequest(text=TEXT)), far.pid


@asynccontextmanager
async def grpc_aio() -> AsyncIterator[tuple[Call, int]]:
    async with child(["bench.rivals.grpc_echo"]) as far:
        address = f"127.0.0.1:{(await far.line())['port']}"
        async with grpc.aio.insecure_channel(address) as channel:
            unary = channel.unary_unary(
                METHOD,
                request_serializer=pb.SayRequest.SerializeToString,
                response_deserializer=pb.SayReply.FromString,
            )
            yield lambda: unary(pb.SayRequest(text=TEXT)), far.pid


@asynccontextmanager
async def bare(library: str) -> AsyncIterator[tuple[Call, int]]:
    if library == "websockets":
        async with child(["bench.rivals.echo"]) as far, echo.connected(far) as near:
            yield near.ask, far.pid
        return
    kind = {"picows": "websocket", "aiortc": "webrtc"}[library]
    async with child(["bench.rivals.naive", kind]) as far, naive.connected(kind, far) as echoes:
        yield echoes.ask, far.pid


def started(system: str) -> Any:
    """A context manager: the call of a system, and its far process."""
    name, _, wire = system.partition(" ")
    if name == "actr":
        return actr(wire)
    return grpc_aio() if name == "grpc.aio" else bare(name)


Measured = tuple[float, float, float]
"""Calls per second, their median in seconds, CPU seconds of each."""


async def one(call: Call, far: int, *, in_flight: int, seconds: float) -> Measured:
    meter = Meter(far)
    rate, times = await drive(call, in_flight=in_flight, seconds=seconds)
    cpu, _ = meter.take(len(times))
    return rate, percentile(times, 0.5), cpu


async def measure(seconds: float, rounds: int, systems: list[str]) -> list[dict[str, Any]]:
    """All cells, alternating; one row a system and number in flight."""
    cells: dict[tuple[str, int], list[Measured]] = {}
    async with AsyncExitStack() as stack:
        calls = {name: await stack.enter_async_context(started(name)) for name in systems}
        for call, _ in calls.values():  # a new process faults its memory in
            await drive(call, in_flight=max(IN_FLIGHT), seconds=seconds)
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task("calls", total=rounds * len(IN_FLIGHT) * len(calls))
            for number in range(rounds):
                turn = number % len(systems)
                for in_flight in IN_FLIGHT:
                    for name in systems[turn:] + systems[:turn]:
                        call, far = calls[name]
                        cell = await one(call, far, in_flight=in_flight, seconds=seconds)
                        cells.setdefault((name, in_flight), []).append(cell)
                        progress.advance(bar)
    return [
        row(*key, cells[key]) for key in sorted(cells, key=lambda k: (k[1], systems.index(k[0])))
    ]


def row(system: str, in_flight: int, cells: list[Measured]) -> dict[str, Any]:
    """The median round of one system at one concurrency."""
    rate, p50, cpu = (statistics.median(values) for values in zip(*cells, strict=True))
    return {
        "system": system,
        "in_flight": in_flight,
        "per_s": round(rate),
        "p50_ms": round(p50 * 1e3, 3),
        "cpu_us": round(cpu * 1e6, 1),
    }


def judge(rows: list[dict[str, Any]]) -> dict[str, bool]:
    """The goals of which there are figures, and whether each is met."""
    found = {(r["system"], r["in_flight"]): r for r in rows}
    holds = {}
    for what, ours, other, in_flight, factor in GOALS:
        if (ours, in_flight) in found and (other, in_flight) in found:
            times = found[ours, in_flight][what] / found[other, in_flight][what]
            is_met = times >= factor if what == "per_s" else times <= factor
            bound = "least" if what == "per_s" else "most"
            name = f"{ours}, {in_flight} in flight, {what}: {times:.2f} times {other}"
            holds[f"{name}, at {bound} {factor}"] = is_met
    return holds


def main() -> None:
    """Parse the arguments, measure, report; exit status 1 where a goal is not met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="of each cell")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="systems with this in their name")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    systems = [name for name in SYSTEMS if arguments.only in name]
    if not systems:
        parser.error(f"no system has this name; there are {', '.join(SYSTEMS)}")
    rows = uvloop.run(measure(arguments.seconds, arguments.rounds, systems))
    show("Calls of 100 bytes between two processes, nothing kept", rows)
    holds = judge(rows)
    for goal, is_met in holds.items():
        console.print(f"{'yes' if is_met else 'NO':>4}  {goal}", soft_wrap=True)
    if arguments.json:
        write_json({"rows": rows, "holds": holds})
    sys.exit(not all(holds.values()))


if __name__ == "__main__":
    main()
