"""Cuts under steady traffic: ``make bench-failover [CUTS=100] [JSON=1]``.

Two peers on two hosts of a private network, a signaling service between them, 100 numbered
messages a second on each byte lane. Each cut takes 1.5 s of all UDP between the hosts, so that
the WebRTC wire falls silent while the WebSocket stays; every fifth one hits the WebSocket wire
instead, by a TCP reset or, in turn, by silence. Then it heals, and the next cut waits until
traffic is back on WebRTC. Beside it, through the same cuts and at the same time, the WebRTC
library alone carries as much on one reliable channel.

What each sender's runtime accepted and what reached each handler is written down message by
message, and compared. A gap is the longest silence of a lane after a cut of the wire in use.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from bench.report import console, percentile, show, write_json
from lab import netns, record
from lab.actors import LIBRARY, Actor, actor, verdicts
from lab.hosts import TCP_CUT, TCP_RESET, UDP_CUT, Fault, Network, network, router_signaling
from lab.record import LANES, RELIABLE

CUT_SECONDS = 1.5
REST_SECONDS = 0.4
RETURN_SECONDS = 15.0
"""Longest wait for the traffic to be back on WebRTC."""
CLOCK_SECONDS = 0.02
WATCH_SECONDS = 5.0
PER_SECOND = 100
WEBSOCKET_EVERY = 5
GOAL_GAP_P99, GOAL_GAP_MAX = 1.0, 1.5


@dataclass
class Run:
    """What one run wrote down."""

    cuts: list[float] = field(default_factory=list)
    """When each cut began."""
    udp_cuts: list[float] = field(default_factory=list)
    """Those of them that hit the library alone as well."""
    returns: list[float] = field(default_factory=list)
    """Seconds from healing until traffic was back on WebRTC."""
    stayed_away: int = 0
    """Times that it did not come back within ``RETURN_SECONDS``."""
    late: float = 0.0
    """The longest that this process, which does next to nothing, was kept from running: what the
    machine added to a gap."""
    ended: float = 0.0
    refused: dict[str, int] = field(default_factory=dict)
    """Sends and calls that ended with an error, by lane."""
    before: dict[str, Any] = field(default_factory=dict)
    """What both peers used when idle, before the first cut."""
    after: dict[str, Any] = field(default_factory=dict)


@asynccontextmanager
async def alone(net: Network, folder: Path) -> AsyncIterator[tuple[Actor, Actor]]:
    """Two processes joined by the library alone."""
    async with (
        actor(net, "a", folder, name="alone-a", module=LIBRARY) as a,
        actor(net, "b", folder, name="alone-b", module=LIBRARY) as b,
    ):
        offer = await a.ask("offer")
        answer = await b.ask("answer", sdp=offer["sdp"])
        await a.ask("accept", sdp=answer["sdp"])
        yield a, b


async def run(cuts: int, folder: Path) -> dict[str, Any]:
    """Make all cuts; return the document."""
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(network())
        await stack.enter_async_context(router_signaling())
        a = await stack.enter_async_context(actor(net, "a", folder))
        b = await stack.enter_async_context(actor(net, "b", folder))
        sender, receiver = await stack.enter_async_context(alone(net, folder))
        done = Run()
        await _warm_up(a, b, done)
        await a.ask("send", to=b.id, rates=dict.fromkeys(LANES, PER_SECOND))
        await sender.ask("send", rate=PER_SECOND * len(RELIABLE), size=100)
        await asyncio.sleep(1)
        clock = asyncio.get_running_loop().create_task(_clock(done))
        for number in range(1, cuts + 1):
            await _cut(net, a, b, number, done)
            console.print(f"cut {number} of {cuts}: back after {done.returns[-1]:.2f} s")
        clock.cancel()
        done.ended = time.monotonic()
        done.refused = (await a.ask("stop"))["refused"]
        await sender.ask("stop")
        done.after = await _idle(a, b)
        return _document(done, (a, b), (sender, receiver))


async def _clock(done: Run) -> None:
    """Watch how late this process runs."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(CLOCK_SECONDS)
        done.late = max(done.late, time.monotonic() - began - CLOCK_SECONDS)


async def _warm_up(a: Actor, b: Actor, done: Run) -> None:
    """Have every part of both peers used once, then see what they use when idle."""
    await a.ask("send", to=b.id, rates=dict.fromkeys(LANES, PER_SECOND))
    await a.ask("expect", to=b.id, timeout=20, active="webrtc", ready=["webrtc", "websocket"])
    await asyncio.sleep(1)
    await a.ask("stop")
    done.before = await _idle(a, b)


async def _idle(a: Actor, b: Actor) -> dict[str, Any]:
    """Heap, queues and tasks of both peers once nothing is under way."""
    await a.ask("settle", to=b.id)
    await b.ask("settle", to=a.id)
    used = {}
    for peer, other in ((a, b), (b, a)):
        status = await peer.ask("status", to=other.id)
        lanes = status["lanes"].values()
        used[peer.name] = {
            "heap_blocks": status["heap_blocks"],
            "rss_mb": status["rss_mb"],
            "tasks": status["tasks"],
            "queued": sum(lane["queued"] for lane in lanes) + status["mailbox"],
            "held_bytes": sum(lane["sending_bytes"] + lane["receiving_bytes"] for lane in lanes),
            "dropped": sum(lane["dropped"] for lane in lanes),
        }
    return used


def _fault(number: int) -> Fault:
    if number % WEBSOCKET_EVERY:
        return UDP_CUT
    return TCP_RESET if number % (2 * WEBSOCKET_EVERY) else TCP_CUT


async def _cut(net: Network, a: Actor, b: Actor, number: int, done: Run) -> None:
    fault = _fault(number)
    async with net.broken(fault):
        done.cuts.append(time.monotonic())
        if fault is UDP_CUT:
            done.udp_cuts.append(done.cuts[-1])
        await asyncio.sleep(CUT_SECONDS)
    healed = time.monotonic()
    back = await a.ask(
        "expect", to=b.id, timeout=RETURN_SECONDS, active="webrtc", ready=["webrtc", "websocket"]
    )
    done.stayed_away += not back["ok"]
    done.returns.append(time.monotonic() - healed)
    # Not in step with anything that has a period.
    await asyncio.sleep(REST_SECONDS + 0.2 * random.random())  # noqa: S311


def _gaps(found: Sequence[float]) -> dict[str, float]:
    return {
        "gap_p50_s": round(percentile(found, 0.5), 3),
        "gap_p99_s": round(percentile(found, 0.99), 3),
        "gap_max_s": round(max(found, default=0.0), 3),
    }


def _document(
    done: Run, actors: tuple[Actor, Actor], library_alone: tuple[Actor, Actor]
) -> dict[str, Any]:
    (a, b), (sender, receiver) = actors, library_alone
    found, arrived = verdicts(a, b), b.arrived()
    silences = {lane: record.silences(arrived, lane, done.cuts, done.ended) for lane in RELIABLE}
    hits = [at in done.udp_cuts for at in done.cuts]
    used = {
        lane: [gap for gap, hit in zip(silences[lane], hits, strict=True) if hit]
        for lane in RELIABLE
    }
    spare = [
        gap for lane in RELIABLE for gap, hit in zip(silences[lane], hits, strict=True) if not hit
    ]
    total = {
        name: sum(found[lane].row()[name] for lane in RELIABLE)
        for name in ("accepted", "arrived", "lost", "doubled", "out_of_order")
    }
    library = record.compare(sender.accepted(), receiver.arrived(), "stream")
    library_gaps = record.silences(receiver.arrived(), "stream", done.udp_cuts, done.ended)
    late = found["latency"]
    document: dict[str, Any] = {
        "cuts": len(done.cuts),
        **total,
        **_gaps([gap for lane in RELIABLE for gap in used[lane]]),
        "gap_max_spare_wire_s": round(max(spare, default=0.0), 3),
        "refused": done.refused,
        "lanes": {lane: {**found[lane].row(), **_gaps(used[lane])} for lane in RELIABLE},
        "latency_first": {
            "accepted": late.accepted,
            "arrived": late.arrived,
            "dropped": done.after["a"]["dropped"],
            "cut_off": late.lost - done.after["a"]["dropped"],
            "doubled": late.doubled,
            "oldest_ms": round(record.oldest(arrived, "latency") * 1e3, 1),
        },
        "library_alone": {**library.row(), **_gaps(library_gaps)},
        "back_on_webrtc_p50_s": round(percentile(done.returns, 0.5), 3),
        "back_on_webrtc_max_s": round(max(done.returns), 3),
        "stayed_away": done.stayed_away,
        "driver_late_max_s": round(done.late, 3),
        "worst_cut": _worst(done, used, (a, b)),
        "idle_before": done.before,
        "idle_after": done.after,
    }
    document["holds"] = _holds(document)
    return document


def _worst(done: Run, gaps: dict[str, list[float]], actors: tuple[Actor, Actor]) -> dict[str, Any]:
    """The cut with the longest gap, and what the peers said of their wires after it, by seconds."""
    longest = [max(of_cut) for of_cut in zip(*gaps.values(), strict=True)]
    if not longest:
        return {}
    began = done.udp_cuts[longest.index(max(longest))]
    told = [
        [round(line["at"] - began, 2), actor.name, line["kind"], line["state"]]
        for actor in actors
        for line in actor.told("wire")
        if 0 <= line["at"] - began <= WATCH_SECONDS
    ]
    return {"number": done.cuts.index(began) + 1, "gap_s": round(max(longest), 3), "told": told}


def _holds(document: dict[str, Any]) -> dict[str, bool]:
    """The goals, each met or not."""
    idle = document["idle_after"].values()
    return {
        "nothing lost": document["lost"] == 0 and not document["refused"],
        "nothing doubled": document["doubled"] == document["latency_first"]["doubled"] == 0,
        "nothing out of order": document["out_of_order"] == 0,
        f"gap p99 at most {GOAL_GAP_P99} s": document["gap_p99_s"] <= GOAL_GAP_P99,
        f"gap max at most {GOAL_GAP_MAX} s": document["gap_max_s"] <= GOAL_GAP_MAX,
        "queues empty afterwards": all(not u["queued"] + u["held_bytes"] for u in idle),
    }


def _show(document: dict[str, Any]) -> None:
    columns = {
        "accepted": "accepted",
        "lost": "lost",
        "doubled": "doubled",
        "disorder": "out_of_order",
        "gap p50": "gap_p50_s",
        "p99": "gap_p99_s",
        "max": "gap_max_s",
    }
    parts = [*document["lanes"].items(), ("all", document), ("aiortc", document["library_alone"])]
    rows = [{"lane": name, **{c: part[key] for c, key in columns.items()}} for name, part in parts]
    show(f"{document['cuts']} cuts of {CUT_SECONDS} s", rows)
    show("Latency-first", [document["latency_first"]])
    show("Idle, before and after", [
        {"peer": name, "when": when, **used}
        for when in ("before", "after")
        for name, used in document[f"idle_{when}"].items()
    ])  # fmt: skip
    console.print(f"worst cut: {document['worst_cut']}")
    console.print(
        f"the machine kept the driver waiting for {document['driver_late_max_s']} s at most"
    )
    for goal, is_met in document["holds"].items():
        console.print(f"{'yes' if is_met else 'NO':>4}  {goal}")


def main() -> None:
    """Parse the arguments, cut, report; exit status 1 where a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.cuts < 1:
        parser.error("--cuts is at least 1")
    netns.enter()
    with tempfile.TemporaryDirectory(prefix="actr-bench-") as folder:
        document = uvloop.run(run(arguments.cuts, Path(folder)))
    _show(document)
    if arguments.json:
        write_json(document)
    sys.exit(not all(document["holds"].values()))


if __name__ == "__main__":
    main()
