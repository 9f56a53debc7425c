"""A peer that answers: ``python -m lab.echo ID URL WIRES DURABILITY [MAILBOX [FOLDER]]``.

Into the folder, if there is one, it receives files.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import uvloop

from actr.demo import chat_pb2 as pb
from actr_peer import ActrId, Context, NodeConfig, System, WireKind
from actr_peer.state.storage.database import Durability
from lab.quiet import Quiet


class Echo(Quiet):
    """Counts what is said."""

    def __init__(self) -> None:
        self.count = 0

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        self.count += 1
        return pb.SayReply(number=self.count)


def node_config(
    name: str, url: str, wires: str, durability: str, mailbox: str | None = None
) -> NodeConfig:
    """The configuration of a benchmark's peer; ``wires`` is kinds joined by commas."""
    return NodeConfig(
        id=ActrId("bench", name, "1"),
        signaling_url=url,
        prefer=tuple(WireKind(kind) for kind in wires.split(",")),
        mailbox_path=Path(mailbox) if mailbox else None,
        durability=cast(Durability, durability),
    )


async def main(arguments: list[str]) -> None:
    """Run until SIGTERM."""
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(System(node_config(*arguments[:5])).attach(Echo()))
        for folder in arguments[5:]:
            await stack.enter_async_context(node.ref.receive_files(folder))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, node.ended.set)
        sys.stdout.write(json.dumps({"event": "ready", "id": str(node.id)}) + "\n")
        sys.stdout.flush()
        await node.ended.wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
