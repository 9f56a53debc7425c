"""What grows with the number of streams of one link: ``make bench-many [JSON=1]``.

Client streams of 100-byte items, 10 and 5,000 at once. First all of them begin and end, which gives
the cost of an end with its reply; then all begin, stay idle for a moment, and send. Rows:

- ``cpu_us_per_item``: CPU of both processes from the second item to the last reply, less the ends.
- ``end_us``: CPU of the end of one stream, and of its reply.
- ``idle_kb``: what the memory of both processes grew by, for each stream that has begun and waits.
- ``waits``: the longest that one stream waited for one of its items, over the median of the
  streams' longest waits.

``grpc.aio`` does the same with one channel and 1,000 streams, ends included; ``asyncio`` is the
floor, pairs of tasks of one process that hand over the same messages, 64 at most between them, and
nothing else.

``dispatch`` is the CPU of one item from a lane's message to its callback, with no wire.
``idle_bytes`` is what Python holds for each half of a named channel.
``--slow SECONDS`` runs one fast producer and one consumer of 100 items a second instead.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

import uvloop

from bench.many.crowd import MANY, measure
from bench.many.floor import idle_halves
from bench.many.slow import slow
from bench.report import console, show, write_json
from bench.sessions import dispatch

FEW = 10
ITEMS = 160_000
"""Of all streams together; inside the process, where an item costs little and the readers hold 64
of each stream, ten times as many."""
SYSTEMS = (
    ("actr", "websocket", MANY),
    ("actr", "webrtc", MANY),
    ("actr", "in process", MANY),
    ("grpc.aio", "http/2", 1000),
    ("asyncio", "in process", MANY),
)
"""And how many streams are many: of 2,000, grpc.aio 1.85 cancels some by itself."""
GROWTH_GOAL = 1.5
WAITS_GOAL = 4.0
DISPATCH_GOAL_US = 10.0


def judge(rows: list[dict[str, Any]], dispatched: dict[int, float]) -> dict[str, bool]:
    """The goals, and whether each is met."""
    cost = {(r["system"], r["wire"], r["streams"]): r["cpu_us_per_item"] for r in rows}
    holds = {}
    for system, wire, streams in cost:
        if system == "actr" and streams == MANY and (system, wire, FEW) in cost:
            name = f"{wire}: an item at {MANY} streams at most {GROWTH_GOAL:g} x that at {FEW}"
            holds[name] = cost[system, wire, MANY] <= GROWTH_GOAL * cost[system, wire, FEW]
    for r in rows:
        if r["system"] == "actr" and r["streams"] == MANY:
            name = f"{r['wire']}: no stream waits more than {WAITS_GOAL:g} x the median"
            holds[name] = r["waits"] <= WAITS_GOAL
    name = f"dispatch of an item at most {DISPATCH_GOAL_US:g} us"
    holds[name] = max(dispatched.values()) <= DISPATCH_GOAL_US
    return holds


async def everything(only: str, scale: float) -> list[dict[str, Any]]:
    """All rows, one after the other; a cell that fails has none, and says why."""
    rows = []
    for system, wire, many in SYSTEMS:
        for streams in (FEW, many) if only in f"{system} {wire}" else ():
            try:
                items = ITEMS * (10 if wire == "in process" else 1)
                rows.append(await measure(system, wire, streams, round(items * scale)))
            except Exception as exc:  # noqa: BLE001  any system's: the others' rows come even so
                console.print(f"no row: {system}, {wire}, {streams}: {exc!r}"[:300])
    return rows


def main() -> None:
    """Parse the arguments, measure, report; exit status 1 where a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="word of the systems or wires to measure")
    parser.add_argument("--scale", type=float, default=1.0, help="more or fewer items")
    parser.add_argument("--slow", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.slow:
        document = uvloop.run(slow(arguments.slow))
        console.print(document)
        if arguments.json:
            write_json(document)
        sys.exit(document["lost"] != 0 or not document["in_order"])
    if arguments.scale * ITEMS < MANY:
        parser.error(f"--scale is at least {MANY / ITEMS:g}: each stream has an item")
    rows = uvloop.run(everything(arguments.only, arguments.scale))
    dispatched = {n: min(asyncio.run(dispatch(n, 40_000)) for _ in range(3)) for n in (1, MANY)}
    if rows:
        show("Many streams", rows)
    for streams, cost in dispatched.items():
        console.print(f"dispatch, {streams} streams: {cost:.1f} us of CPU an item")
    idle = asyncio.run(idle_halves(MANY))
    console.print(f"an idle half: {idle} bytes, with its callback and its task where it is read")
    holds = judge(rows, dispatched)
    for goal, is_met in holds.items():
        console.print(f"{'yes' if is_met else 'NO':>4}  {goal}")
    if arguments.json:
        write_json(
            {"rows": rows, "dispatch_us_per_item": dispatched, "idle_bytes": idle, "holds": holds}
        )
    sys.exit(not all(holds.values()))


if __name__ == "__main__":
    main()
