"""What links cost, idle and with calls: ``make bench-links [JSON=1]``.

One process has 1, 10, 50 or more links, each to another actor; all of those are in one second
process. ``aiortc`` is as many of its connections between two processes, each with one open data
channel that echoes and nothing around it; ``grpc.aio`` as many channels to one server. One link
more is there before anything is measured, so that what the first one loads is not counted. Rows:

- ``dial_s``: until all links, begun at once, have answered a call.
- ``dial_ms``: CPU of the near process and of the far one for each of those links, milliseconds.
- ``kb``: memory of the near process that is its own alone, for each link.
- ``call_ms``: CPU of the near process for a call over one of the links, one after the other.
- ``after``: percent of a core that it uses in the two seconds after calls over all links.
- ``idle``: likewise, from 20 s after the last traffic on.
- ``wakes``: how often a second it then goes on after having had nothing to do.
- ``calls``: Python functions that it then calls in a second, without those of C; counted in a
  second watch, for counting costs by itself.

The last two say nearly the same on every machine.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import uvloop

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import System
from bench.report import console, show, write_json
from bench.rivals import grpc_echo, library
from lab.echo import Echo, node_config
from lab.processes import Child, child, own_kb, signaling, spent, watch

LINKS = (1, 10, 50)
SYSTEMS = (
    ("actr", "websocket"),
    ("actr", "webrtc"),
    ("aiortc", "webrtc"),
    ("grpc.aio", "http/2"),
)
WARM_CALLS, CALLS = 50, 400
AFTER_SECONDS = 2.0
SETTLE_SECONDS = 20.0
MODULE = "bench.network.links"

Call = Callable[[int], Awaitable[object]]
"""Call over one link and wait for the answer; the first call over a link makes it."""


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


class Echoing(library.Alone):
    """One side of a connection of the library alone: it echoes, or waits for echoes."""

    def __init__(self) -> None:
        super().__init__("echo", Path("/tmp"))  # noqa: S108  nothing is recorded
        self.answers: asyncio.Queue[bytes] | None = None

    def _take(self, data: bytes) -> None:
        if self.answers is None:
            self._channel.send(data)
        else:
            self.answers.put_nowait(data)

    async def ready(self) -> None:
        await library.is_open(self._channel)
        self.answers = asyncio.Queue()

    async def call(self) -> None:
        assert self.answers is not None
        self._channel.send(b"hello")
        await self.answers.get()


async def far_library(links: int) -> None:
    """Likewise, with the library alone."""
    sides = [Echoing() for _ in range(links)]
    say(event="ready")

    async def answer(number: int, sdp: str) -> None:
        say(number=number, **await sides[number].answer(sdp))

    async with asyncio.TaskGroup() as group:
        async for line in read_lines():
            group.create_task(answer(line["number"], line["sdp"]))
    for side in sides:
        await side.close()


@asynccontextmanager
async def actors(wire: str, links: int) -> AsyncIterator[tuple[Call, Child]]:
    """One actor, and so many others in one process."""
    async with AsyncExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="actr-bench-"))
        url = await stack.enter_async_context(signaling())
        far = await stack.enter_async_context(
            child([MODULE, "--far", "actr", wire, str(links), url])
        )
        await far.line(timeout=60 + links)
        config = node_config("near", url, wire, "process", str(Path(home) / "near.db"))
        node = await stack.enter_async_context(System(config).attach(Echo()))

        async def call(number: int) -> None:
            client = ChatClient(node.ref.to(f"bench:far{number}@1:default"))
            await client.say(pb.SayRequest(text="hello"), timeout=60)

        yield call, far


@asynccontextmanager
async def connections(links: int) -> AsyncIterator[tuple[Call, Child]]:
    """As many connections of aiortc alone."""
    async with child([MODULE, "--far", "aiortc", "webrtc", str(links), ""]) as far:
        await far.line(timeout=60)
        sides: dict[int, Echoing] = {}
        answers: dict[int, asyncio.Future[str]] = {}

        async def listen() -> None:
            while True:
                answer = await far.line(timeout=600)
                answers[answer["number"]].set_result(answer["sdp"])

        async def call(number: int) -> None:
            side = sides.get(number)
            if side is None:
                side = sides[number] = Echoing()
                answers[number] = asyncio.get_running_loop().create_future()
                await far.tell(number=number, **await side.offer())
                await side.accept(await answers[number])
                await side.ready()
            await side.call()

        async with asyncio.TaskGroup() as group:
            listening = group.create_task(listen())
            yield call, far
            listening.cancel()
        for side in sides.values():
            await side.close()


@asynccontextmanager
async def channels() -> AsyncIterator[tuple[Call, Child]]:
    """As many channels of gRPC, none of which shares its connection."""
    made: dict[int, grpc.aio.Channel] = {}
    async with child(["bench.rivals.grpc_echo"]) as far:
        port = (await far.line())["port"]

        async def call(number: int) -> None:
            if number not in made:
                options = [("grpc.use_local_subchannel_pool", 1)]
                made[number] = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)
            say_it = made[number].unary_unary(
                grpc_echo.METHOD,
                request_serializer=pb.SayRequest.SerializeToString,
                response_deserializer=pb.SayReply.FromString,
            )
            await say_it(pb.SayRequest(text="hello"))

        yield call, far
        for channel in made.values():
            await channel.close()


def made(system: str, wire: str, links: int) -> Any:
    """The block in which there are links."""
    if system == "actr":
        return actors(wire, links)
    return connections(links) if system == "aiortc" else channels()


async def near(system: str, wire: str, links: int, seconds: float) -> None:
    """Have the links, and say what they cost."""
    async with made(system, wire, links + 1) as (call, far):
        await call(links)
        await asyncio.sleep(AFTER_SECONDS)
        found = {**await _dialled(call, far, links), "call_ms": await _called(call)}
        await asyncio.gather(*map(call, range(links)))
        used = time.process_time()
        await asyncio.sleep(AFTER_SECONDS)
        used = time.process_time() - used
        found["after"] = round(100 * used / AFTER_SECONDS, 3)
        watched = await watch(seconds, settle=SETTLE_SECONDS - AFTER_SECONDS)
        found["idle"] = watched.pop("share")
        say(**found, **watched)


async def _dialled(call: Call, far: Child, links: int) -> dict[str, Any]:
    gc.collect()
    before, used, far_used, began = own_kb(), time.process_time(), spent(far.pid), time.monotonic()
    await asyncio.gather(*map(call, range(links)))
    wall = time.monotonic() - began
    used, far_used = time.process_time() - used, spent(far.pid) - far_used
    await asyncio.sleep(AFTER_SECONDS)
    gc.collect()
    return {
        "dial_s": round(wall, 3),
        "dial_ms": round(1000 * used / links, 2),
        "far_ms": round(1000 * far_used / links, 2),
        "kb": round((own_kb() - before) / links, 1),
    }


async def _called(call: Call) -> float:
    for _ in range(WARM_CALLS):
        await call(0)
    used = time.process_time()
    for _ in range(CALLS):
        await call(0)
    return round(1000 * (time.process_time() - used) / CALLS, 3)


async def measure(system: str, wire: str, links: int, seconds: float) -> dict[str, Any]:
    """One row."""
    async with child([MODULE, "--near", system, wire, str(links), str(seconds)]) as process:
        found = await process.line(timeout=300 + 2 * links + 3 * seconds)
        await process.process.wait()  # ended by a signal, it would leave its own processes behind
    return {"system": system, "wire": wire, "links": links, **found}


async def everything(links: list[int], only: str, seconds: float) -> list[dict[str, Any]]:
    """All rows, one after the other; each is said as it comes."""
    rows = []
    for number in links:
        for system, wire in SYSTEMS:
            if only in f"{system} {wire}":
                rows.append(await measure(system, wire, number, seconds))
                console.print(json.dumps(rows[-1]))
    return rows


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
    show("Links, idle and with calls", rows)
    console.print("after and idle: percent of a core; wakes and calls: in a second")
    if arguments.json:
        write_json({"rows": rows})


if __name__ == "__main__":
    main()
