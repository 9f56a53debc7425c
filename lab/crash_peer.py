"""The two peers of the crash test: ``python -m lab.crash_peer callee|caller URL FOLDER``.

The callee's handler writes one row for each call into its own table, in the transaction of the
call's completion, and answers with the row's number. The caller makes durable calls in order,
and notes each reply in a file before it forgets the call. Both may die at any instruction.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable
from pathlib import Path

import uvloop

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import ActrRef, CallError, Context, PeerError, System
from actr_peer.errors import BusyError
from lab.echo import Echo, node_config

IN_FLIGHT = 32
CALLEE = "bench:callee@1:default"
TABLE = "CREATE TABLE IF NOT EXISTS effects (number INTEGER PRIMARY KEY AUTOINCREMENT, call TEXT)"


class Ledger(Echo):
    """Writes each call down, once."""

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        async with ctx.transaction() as tx:
            await tx.execute(TABLE)
            await tx.execute("INSERT INTO effects (call) VALUES (?)", (request.text,))
            row = await tx.fetch_one("SELECT max(number) FROM effects")
        assert row is not None
        return pb.SayReply(number=row[0])


class Caller:
    """Makes calls numbered from 1, at most :data:`IN_FLIGHT` at once, forever."""

    def __init__(self, ref: ActrRef, notes: Path) -> None:
        self._ref = ref
        self._room = ChatClient(ref.to(CALLEE))
        self._replied = {entry["call"] for entry in read_notes(notes)}
        self._notes = notes.open("a", buffering=1)
        self._free = asyncio.Semaphore(IN_FLIGHT)

    async def run(self, stop: asyncio.Event) -> None:
        """Ask again for what earlier starts left open, then go on after the last number."""
        kept = [int(key) for key in self._ref.durable_keys()]
        last = max([0, *kept, *self._replied])
        async with asyncio.TaskGroup() as group:
            for number in sorted(kept):
                await self._free.acquire()
                group.create_task(self._call(number))
            while not stop.is_set():
                await self._free.acquire()
                last += 1
                group.create_task(self._call(last))
                # Accepted in order of the numbers: the next is not begun before this one was.
                await asyncio.sleep(0)

    async def _call(self, number: int) -> None:
        key = str(number)
        try:
            reply = await self._until_answered(key)
            if number not in self._replied:
                # One write, so that a crash leaves the whole line or nothing.
                self._notes.write(json.dumps({"call": number, "reply": reply.number}) + "\n")
                self._replied.add(number)
            self._ref.forget_call(key)
        finally:
            self._free.release()

    async def _until_answered(self, key: str) -> pb.SayReply:
        while True:
            call: Awaitable[pb.SayReply] = self._room.say(
                pb.SayRequest(text=key), durable=key, timeout=60
            )
            try:
                return await call
            except CallError:
                raise
            except (PeerError, BusyError):
                continue


def read_notes(path: Path) -> list[dict[str, int]]:
    """The caller's notes; a torn last line is none."""
    if not path.exists():
        return []
    entries = []
    for line in path.read_text().splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries


async def main(role: str, url: str, folder: str) -> None:
    """Run until SIGTERM, which lets open calls end, or SIGKILL."""
    config = node_config(role, url, "websocket", "power", str(Path(folder) / f"{role}.db"))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with System(config).attach(Ledger()) as node:
        sys.stdout.write(json.dumps({"event": "ready", "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        if role == "callee":
            await stop.wait()
        else:
            await Caller(node.ref, Path(folder) / "notes.jsonl").run(stop)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
