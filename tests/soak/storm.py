"""Twenty actors that come, call once, and go.

``python -m tests.soak.storm NAME URL FOLDER TARGETS``. They live in one process, each with its
own identity, registration, wires and call.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from pathlib import Path

import uvloop

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import ActrId, NodeConfig, PeerError, System
from tests.soak.notes import Notes
from tests.soak.peer import Soaked
from tests.soak.work import CALL_SECONDS, actor_id

ACTORS = 20


async def visit(name: str, number: int, url: str, target: str, notes: Notes) -> None:
    """One actor's life; that it cannot begin or call is an outcome, not a failure."""
    call = int(time.time() * 1000) + number
    notes.write("visit", target, call, "begun")
    config = NodeConfig(
        id=ActrId("soak", f"{name}-{number}", "1"), signaling_url=url, listen="0.0.0.0:0"
    )
    try:
        async with System(config).attach(Soaked()) as node:
            client = ChatClient(node.ref.to(actor_id(target)))
            request = pb.SayRequest(author=name, text=f"visit {call}")
            reply = await client.say(request, timeout=CALL_SECONDS)
        outcome = f"answered {reply.number}"
    except PeerError as exc:
        outcome = f"refused {type(exc).__name__}"
    notes.write("visit", target, call, outcome)


async def main(name: str, url: str, folder: str, targets: str) -> None:
    """All twenty at once."""
    notes = Notes(Path(folder) / f"{name}.notes")
    names = targets.split(",")
    async with asyncio.TaskGroup() as group:
        for number in range(ACTORS):
            target = names[number % len(names)]
            group.create_task(visit(name, number, url, target, notes))


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    uvloop.run(main(*sys.argv[1:]))
