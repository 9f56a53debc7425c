"""A chat room that answers everything as shortly as it can: for who changes one method of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatService
from actr_peer import Context


class Quiet(ChatService):
    """Answers at once and keeps nothing."""

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        return pb.SayReply(number=1)

    async def history(self, request: pb.HistoryRequest, ctx: Context) -> pb.HistoryReply:
        return pb.HistoryReply()

    async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
        return pb.KickReply(was_present=True)

    async def messages(
        self, request: pb.MessagesRequest, ctx: Context
    ) -> AsyncIterator[pb.ChatMessage]:
        """As many lines as are asked for."""
        for number in range(request.test_lines):
            yield pb.ChatMessage(number=number)

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        size = 0
        async for piece in requests:
            size += len(piece.data)
        return pb.UploadReply(size_bytes=size)

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        yield pb.PresenceChange(who="ann", present=True)

    async def cursors(
        self, requests: AsyncIterator[pb.CursorMove], ctx: Context
    ) -> AsyncIterator[pb.CursorMove]:
        async for move in requests:
            yield move
