"""An urgent call behind a bulk transfer: ``make bench-priority [MB=100] [ITEM=bytes] [JSON=1]``.

A caller in this process gives ``MB`` megabytes to another process, and on the same link makes
``RPC_SIGNAL`` calls of 100 bytes, one after the other, as long as that runs; where that makes fewer
than 200 calls, it gives them again, for 5 s. The bulk is a stream of items of ``ITEM`` bytes on
``STREAM_RELIABLE``; without ``ITEM`` also messages, ``RPC_RELIABLE`` calls of 15 MiB one after the
other, and one file by ``send_file``. Rows, one a kind of wire, bulk, size and system:

- ``actr``: the calls go through the callee's durable mailbox (``synchronous=FULL``).
- ``library alone``: the library below that wire (aiortc, picows) with nothing of ours: all of
  the megabytes are handed to it at once, and an echo of 100 bytes goes over the same connection;
  aiortc gets a channel of its own for it. Its pieces are always of 16 KiB.

``alone_ms`` is the median of calls with nothing beside them, before the first transfer.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import ActrRef, PeerError, System
from bench.report import console, percentile, show, write_json
from bench.rivals.naive import KINDS, Echoes, connected
from lab.echo import Echo, node_config
from lab.processes import child, signaling

FAR = "bench:far@1:default"
PIECE_BYTES = 16 * 1024
PAUSE = 0.005
"""Seconds between an answer and the next call."""
ITEMS = (1024, 16 * 1024, 64 * 1024, 1024 * 1024, 15 * 1024 * 1024)
MESSAGE_BYTES = 15 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024
"""Of a file, which its sender hashes and its receiver writes as one."""
LONE_CALLS = 100
GOAL = 15.0
"""The slowest call in a hundred, beside the median of calls with nothing beside them."""
DONE_SECONDS = 300.0
MIN_CALLS = 200
ENOUGH_SECONDS = 5.0
"""No further transfer begins after so long: a library alone makes few calls, and slow ones."""


@dataclass
class Cell:
    """One system on one kind of wire."""

    lone: list[float] = field(default_factory=list)
    """Seconds of each call with nothing beside it."""
    calls: list[float] = field(default_factory=list)
    """Seconds of each."""
    seconds: float = 0.0
    """Of all transfers."""
    transfers: int = 0


@dataclass(frozen=True)
class Bulk:
    """What runs beside the calls, and the bytes of each piece of it."""

    name: str
    piece: int


MESSAGES, A_FILE = Bulk("messages", MESSAGE_BYTES), Bulk("file", BLOCK_BYTES)
IN_ONE_PIECE = Bulk("stream", PIECE_BYTES)


async def measure(megabytes: int, bulks: Sequence[Bulk]) -> list[dict[str, Any]]:
    """All rows, one after the other."""
    rows = []
    for kind in KINDS:
        for bulk in bulks:
            console.print(f"actr, {kind}: {megabytes} MB, {bulk.name} of {bulk.piece} bytes")
            rows.append(row("actr", kind, bulk, megabytes, await actr(kind, megabytes, bulk)))
        console.print(f"library alone, {kind}: {megabytes} MB")
        cell = await alone(kind, megabytes)
        rows.append(row("library alone", kind, IN_ONE_PIECE, megabytes, cell))
    return rows


async def actr(kind: str, megabytes: int, bulk: Bulk) -> Cell:
    """Calls and bulk of two nodes."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="actr-bench-")))
        url = await stack.enter_async_context(signaling())
        arguments = ["lab.echo", "far", url, kind, "power", str(folder / "far.db")]
        arguments.append(str(folder / "inbox"))
        far = await stack.enter_async_context(child(arguments))
        await far.line()
        config = node_config("near", url, kind, "power", str(folder / "near.db"))
        node = await stack.enter_async_context(System(config).attach(Echo()))
        client = ChatClient(node.ref.to(FAR))
        request = pb.KickRequest(who="x" * 100)
        if bulk is MESSAGES:
            transfer = partial(_say, client, pb.SayRequest(text="x" * bulk.piece), megabytes)
        elif bulk is A_FILE:
            (folder / "file").write_bytes(bytes(megabytes * 1_000_000))
            transfer = partial(_send_file, node.ref, folder)
        else:
            transfer = partial(_upload, client, pb.FilePiece(data=bytes(bulk.piece)), megabytes)
        return await _beside(lambda: client.kick(request), transfer)


async def alone(kind: str, megabytes: int) -> Cell:
    """The same with the library below."""
    async with child(["bench.rivals.naive", kind]) as far, connected(kind, far) as echoes:
        return await _beside(echoes.ask, lambda: _send_all(echoes, megabytes))


async def _beside(
    call: Callable[[], Awaitable[object]], transfer: Callable[[], Coroutine[Any, Any, None]]
) -> Cell:
    """Make calls while transfers run, one after the other, until there are enough of them.

    The first call of each is wanted when its transfer begins: what handing it over takes counts,
    and what making it took does not.
    """
    cell = Cell()
    for _ in range(20):
        await call()
    for _ in range(LONE_CALLS):
        began = time.perf_counter()
        await call()
        cell.lone.append(time.perf_counter() - began)
        await asyncio.sleep(PAUSE)
    while len(cell.calls) < MIN_CALLS and cell.seconds < ENOUGH_SECONDS:
        began = started = time.perf_counter()
        running = asyncio.get_running_loop().create_task(transfer())
        await asyncio.sleep(0)
        while True:
            await call()
            cell.calls.append(time.perf_counter() - began)
            if running.done():
                break
            await asyncio.sleep(PAUSE)
            began = time.perf_counter()
        await running
        cell.seconds += time.perf_counter() - started
        cell.transfers += 1
    return cell


async def _upload(client: ChatClient, piece: pb.FilePiece, megabytes: int) -> None:
    item = len(piece.data)
    count = max(1, megabytes * 1_000_000 // item)

    async def pieces() -> AsyncIterator[pb.FilePiece]:
        for _ in range(count):
            yield piece

    reply = await client.upload(pieces(), timeout=DONE_SECONDS)
    if reply.size_bytes != count * item:
        raise AssertionError(f"{reply.size_bytes} bytes arrived")


async def _say(client: ChatClient, request: pb.SayRequest, megabytes: int) -> None:
    for _ in range(max(1, megabytes * 1_000_000 // MESSAGE_BYTES)):
        await client.say(request, timeout=DONE_SECONDS)


async def _send_file(ref: ActrRef, folder: Path) -> None:
    name = f"file.{time.monotonic_ns()}"
    await ref.send_file(folder / "file", FAR, name=name, timeout=DONE_SECONDS)


async def _send_all(echoes: Echoes, megabytes: int) -> None:
    data = bytes(PIECE_BYTES)
    count = megabytes * 1_000_000 // PIECE_BYTES
    for _ in range(count):
        echoes.send_bulk(data)
    await echoes.taken(count)


def row(system: str, kind: str, bulk: Bulk, megabytes: int, cell: Cell) -> dict[str, Any]:
    """What one cell showed."""
    return {
        "system": system,
        "wire": kind,
        "bulk": bulk.name,
        "item_bytes": bulk.piece,
        "calls": len(cell.calls),
        "alone_ms": round(percentile(cell.lone, 0.5) * 1e3, 2),
        "p50_ms": round(percentile(cell.calls, 0.5) * 1e3, 2),
        "p99_ms": round(percentile(cell.calls, 0.99) * 1e3, 2),
        "max_ms": round(max(cell.calls) * 1e3, 2),
        "mb_per_s": round(megabytes * cell.transfers / cell.seconds, 1),
    }


def main() -> None:
    """Parse the arguments, measure, report; exit status 1 where a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=int, default=100, help="megabytes to transfer")
    parser.add_argument("--item", type=int, nargs="+", help="bytes of an item")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    items = arguments.item or ITEMS
    if min(arguments.mb, *items) < 1:
        parser.error("--mb and --item are at least 1")
    bulks = [Bulk("stream", item) for item in items]
    if not arguments.item:
        bulks += [MESSAGES, A_FILE]
    try:
        rows = uvloop.run(measure(arguments.mb, bulks))
    except PeerError as exc:
        sys.exit(f"no measurement: {exc}")
    show(f"A call of 100 bytes beside {arguments.mb} MB on the same link", rows)
    holds = {
        f"{row['wire']}, {row['bulk']} of {row['item_bytes']} B: p99 at most {GOAL:g} lone calls": (
            row["p99_ms"] <= GOAL * row["alone_ms"]
        )
        for row in rows
        if row["system"] == "actr"
    }
    for goal, is_met in holds.items():
        console.print(f"{'yes' if is_met else 'NO':>4}  {goal}")
    if arguments.json:
        write_json({"megabytes": arguments.mb, "rows": rows, "holds": holds})
    sys.exit(not all(holds.values()))


if __name__ == "__main__":
    main()
