"""One soaking peer: ``python -m tests.soak.peer NAME URL FOLDER TARGETS MEDIA``.

It works (:mod:`tests.soak.work`) towards its targets, names joined by commas, and answers theirs.
Each effect is a row of its own table, in the transaction of the call. It is told by JSON lines on
standard input: ``sample``, ``stop``, ``open``; SIGTERM ends it as an operator would.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvloop

from actr.demo import chat_pb2 as pb
from actr_peer import ActrId, Context, MediaFrame, NodeConfig, System
from lab.quiet import Quiet
from tests.soak.notes import TABLE, Notes
from tests.soak.vitals import sample
from tests.soak.work import ITEMS, Arrivals, Work


class Soaked(Quiet):
    """Writes each call down once; answers streams by the numbers."""

    def __init__(self) -> None:
        self.frames = 0

    def frame(self, frame: MediaFrame, sender: ActrId) -> None:
        self.frames += 1

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        kind, number = request.text.split(" ")
        async with ctx.transaction() as tx:
            await tx.execute(TABLE)
            await tx.execute(
                "INSERT INTO effects (caller, kind, call) VALUES (?, ?, ?)",
                (request.author, kind, int(number)),
            )
            row = await tx.fetch_one("SELECT max(number) FROM effects")
        assert row is not None
        return pb.SayReply(number=row[0])

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        for number in range(ITEMS):
            yield pb.PresenceChange(who=str(number))


async def obey(work: Work, soaked: Soaked, orders: asyncio.StreamReader) -> None:
    """Answer each line of standard input."""
    while line := await orders.readline():
        order = json.loads(line)
        answer: dict[str, object] = {"id": order["id"]}
        if order["do"] == "sample":
            answer.update(sample(), frames=soaked.frames)
        elif order["do"] == "stop":
            work.stop()
        elif order["do"] == "open":
            answer["open"] = work.open
        say(**answer)


def say(**values: object) -> None:
    """One JSON line."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


async def main(name: str, url: str, folder: str, targets: str, media: str) -> None:
    """Work until SIGTERM."""
    home = Path(folder)
    config = NodeConfig(
        id=ActrId("soak", name, "1"),
        signaling_url=url,
        listen="0.0.0.0:0",
        mailbox_path=home / f"{name}.db",
        durability="power",
    )
    terminated = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, terminated.set)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    soaked = Soaked()
    async with System(config).attach(soaked) as node:
        node.ref.register_media(None, soaked.frame)
        Arrivals(node.ref, Notes(home / f"{name}.notes"))
        work = Work(node.ref, name, home)
        say(event="ready", id=str(node.id))
        working = loop.create_task(work.run([to for to in targets.split(",") if to], media))
        obeying = loop.create_task(obey(work, soaked, orders))
        ending = loop.create_task(terminated.wait())
        replaced = loop.create_task(node.ended.wait())
        await asyncio.wait(
            (working, obeying, ending, replaced), return_when=asyncio.FIRST_COMPLETED
        )
        while not ending.done() and not replaced.done():
            if working.done():
                working.result()
            if obeying.done():
                obeying.result()
                break
            await asyncio.wait((obeying, ending, replaced), return_when=asyncio.FIRST_COMPLETED)
    work.stop()
    async with asyncio.timeout(30):
        await working
    if replaced.done() and not ending.done():
        raise RuntimeError(f"{name} ended by itself")


if __name__ == "__main__":
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    uvloop.run(main(*sys.argv[1:]))
