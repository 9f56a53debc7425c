"""A workload that answers everything as shortly as it can, for tests that change one method."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from actr_peer import ActrId, Context, NodeConfig, WireKind
from demo import chat_pb2 as pb
from demo.chat_actr import ChatService


class Quiet(ChatService):
    """Each method as short as it can be."""

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        return pb.SayReply(number=1)

    async def history(self, request: pb.HistoryRequest, ctx: Context) -> pb.HistoryReply:
        return pb.HistoryReply()

    async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
        return pb.KickReply(was_present=True)

    async def messages(
        self, request: pb.MessagesRequest, ctx: Context
    ) -> AsyncIterator[pb.ChatMessage]:
        yield pb.ChatMessage(number=1)

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        async for _ in requests:
            pass
        return pb.UploadReply()

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        yield pb.PresenceChange(who="ann", present=True)

    async def cursors(
        self, requests: AsyncIterator[pb.CursorMove], ctx: Context
    ) -> AsyncIterator[pb.CursorMove]:
        async for move in requests:
            yield move


@asynccontextmanager
async def signaling_service() -> AsyncIterator[str]:
    """The URL of a signaling service that runs as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "actr_signaling",
        env={"ACTR_SIGNALING__LISTEN": "127.0.0.1:0", "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            ready = json.loads(await process.stdout.readline())
        yield ready["url"]
    finally:
        process.terminate()
        await process.wait()


def config(name: str, url: str, **more: object) -> NodeConfig:
    """An actor that is reached over WebSocket, and keeps nothing."""
    actor = ActrId("acme", name, "1")
    return NodeConfig(id=actor, signaling_url=url, prefer=(WireKind.WEBSOCKET,), **more)  # type: ignore[arg-type]
