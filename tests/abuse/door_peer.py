"""The actor whose door is abused: ``python -m tests.abuse.door_peer SIGNALING``.

Says ``{"address": …}`` when it listens, and goes on until it is ended.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatService
from actr_peer import ActrId, Context, NodeConfig, System, WireKind

ROOM = ActrId("abused", "room", "1")
BUDGET_BYTES = 24 * 1024 * 1024
"""What is held for all remotes here: the usual bound takes longer to reach than an abuse lasts."""


class Room(ChatService):
    """Answers at once."""

    async def say(self, request: pb.SayRequest, ctx: Context, /) -> pb.SayReply:
        return pb.SayReply(number=len(request.text))

    async def history(self, request: pb.HistoryRequest, ctx: Context, /) -> pb.HistoryReply:
        return pb.HistoryReply()

    async def kick(self, request: pb.KickRequest, ctx: Context, /) -> pb.KickReply:
        return pb.KickReply(was_present=True)

    async def messages(
        self, request: pb.MessagesRequest, ctx: Context, /
    ) -> AsyncIterator[pb.ChatMessage]:
        yield pb.ChatMessage(number=1)

    async def upload(
        self, requests: AsyncIterator[pb.FilePiece], ctx: Context, /
    ) -> pb.UploadReply:
        async for _ in requests:
            pass
        return pb.UploadReply()

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context, /
    ) -> AsyncIterator[pb.PresenceChange]:
        yield pb.PresenceChange(who="a", present=True)

    async def cursors(
        self, requests: AsyncIterator[pb.CursorMove], ctx: Context, /
    ) -> AsyncIterator[pb.CursorMove]:
        async for move in requests:
            yield move


async def main(signaling: str) -> None:
    logging.basicConfig(level=logging.CRITICAL)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    config = NodeConfig(
        id=ROOM,
        signaling_url=signaling,
        prefer=(WireKind.WEBSOCKET,),
        listen="127.0.0.1:0",
        durability="memory",
    )
    async with System(config).attach(Room()) as node:
        node.assembly.transport.budget.max_bytes = BUDGET_BYTES
        ready = {"address": node.assembly.network.websocket.address}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
