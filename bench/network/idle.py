"""What links cost in which nothing happens: ``make bench-idle [JSON=1]``.

One process has 1, 10 and 50 links, each to another actor; all of those are in one second process.
After a call over each link, and a pause in which traffic of a moment ago no longer counts as
traffic, the first process is watched. ``aiortc`` is as many of its connections between two
processes, each with one open data channel and nothing around it. Rows:

- ``share``: percent of a core that the process uses.
- ``wakes``: how often a second it goes on after having had nothing to do.
- ``calls``: Python functions that it calls in a second, without those of C; counted in a second
  watch, for counting costs by itself.

The last two say nearly the same on every machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import System
from bench.report import console, show, write_json
from bench.rivals import library
from lab.echo import Echo, node_config
from lab.processes import Child, child, signaling, watch

LINKS = (1, 10, 50)
SYSTEMS = (("actr", "webrtc"), ("actr", "websocket"), ("aiortc", "webrtc"))
AT_ONCE = 5
"""Links that are made at the same time."""
MODULE = "bench.network.idle"


def say(**values: object) -> None:
    """Write one JSON line."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


async def read_lines() -> AsyncIterator[dict[str, Any]]:
    """JSON lines of standard input."""
    reader = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


async def far_actors(wire: str, links: int, url: str) -> None:
    """Be the far side of all links."""
    async with AsyncExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="actr-bench-"))
        for number in range(links):
            mailbox = str(Path(home) / f"{number}.db")
            config = node_config(f"far{number}", url, wire, "process", mailbox)
            await stack.enter_async_context(System(config).attach(Echo()))
        say(event="ready")
        async for _ in read_lines():
            pass


async def far_library(links: int) -> None:
    """Likewise, with the library alone."""
    sides = [library.Alone(f"far{number}", Path("/tmp")) for number in range(links)]  # noqa: S108
    say(event="ready")
    async for line in read_lines():
        say(**await sides[line["number"]].answer(line["sdp"]))
    for side in sides:
        await side.close()


@asynccontextmanager
async def actors(wire: str, links: int) -> AsyncIterator[None]:
    """One actor with links to so many others, each of which has answered a call."""
    async with AsyncExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="actr-bench-"))
        url = await stack.enter_async_context(signaling())
        far = await stack.enter_async_context(
            child([MODULE, "--far", "actr", wire, str(links), url])
        )
        await far.line()
        config = node_config("near", url, wire, "process", str(Path(home) / "near.db"))
        node = await stack.enter_async_context(System(config).attach(Echo()))
        for first in range(0, links, AT_ONCE):
            await asyncio.gather(
                *(
                    ChatClient(node.ref.to(f"bench:far{number}@1:default")).say(
                        pb.SayRequest(text="hello"), timeout=30
                    )
                    for number in range(first, min(links, first + AT_ONCE))
                )
            )
        yield


@asynccontextmanager
async def connections(links: int) -> AsyncIterator[None]:
    """As many connections of aiortc alone."""
    async with child([MODULE, "--far", "aiortc", "webrtc", str(links), ""]) as far:
        await far.line()
        sides = [library.Alone(f"near{number}", Path("/tmp")) for number in range(links)]  # noqa: S108
        for number, side in enumerate(sides):
            await _connect(side, number, far)
        yield
        for side in sides:
            await side.close()


async def _connect(side: library.Alone, number: int, far: Child) -> None:
    await far.tell(number=number, **await side.offer())
    await side.accept((await far.line())["sdp"])
    await library.is_open(side._channel)


async def near(system: str, wire: str, links: int, seconds: float) -> None:
    """Have the links, and say what they cost."""
    made = actors(wire, links) if system == "actr" else connections(links)
    async with made:
        say(**await watch(seconds))


async def measure(system: str, wire: str, links: int, seconds: float) -> dict[str, Any]:
    """One row."""
    async with child([MODULE, "--near", system, wire, str(links), str(seconds)]) as process:
        found = await process.line(timeout=120 + 3 * seconds)
        await process.process.wait()  # ended by a signal, it would leave its own processes behind
    return {"system": system, "wire": wire, "links": links, **found}


async def everything(links: list[int], only: str, seconds: float) -> list[dict[str, Any]]:
    """All rows, one after the other."""
    return [
        await measure(system, wire, number, seconds)
        for number in links
        for system, wire in SYSTEMS
        if only in f"{system} {wire}"
    ]


ROLES: dict[str, Callable[..., Any]] = {
    "near": lambda system, wire, links, seconds: near(system, wire, int(links), float(seconds)),
    "far": lambda system, wire, links, url: (
        far_actors(wire, int(links), url) if system == "actr" else far_library(int(links))
    ),
}


def main() -> None:
    """Parse the arguments, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--links", type=int, nargs="*", default=list(LINKS))
    parser.add_argument("--only", default="", help="word of the systems or wires to measure")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each is watched")
    parser.add_argument("--json", action="store_true")
    for role in ROLES:
        parser.add_argument(f"--{role}", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for role, run in ROLES.items():
        given = getattr(arguments, role)
        if given:
            uvloop.run(run(*given))
            return
    rows = uvloop.run(everything(arguments.links, arguments.only, arguments.seconds))
    show("Links in which nothing happens", rows)
    console.print("share: percent of a core; wakes and calls: in a second")
    if arguments.json:
        write_json({"rows": rows})


if __name__ == "__main__":
    main()
