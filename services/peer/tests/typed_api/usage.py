"""Never run: type checkers alone read it, so that the typed API cannot change unseen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import assert_type

from actr_peer import Context
from actr_peer.service import Caller, Method
from demo.chat_actr import ChatClient, ChatService
from demo.chat_pb2 import (
    ChatMessage,
    CursorMove,
    FilePiece,
    HistoryReply,
    HistoryRequest,
    KickReply,
    KickRequest,
    MessagesRequest,
    PresenceChange,
    PresenceRequest,
    SayReply,
    SayRequest,
    UploadReply,
)


class Room(ChatService):
    """Handlers as people write them: names of parameters are free."""

    async def say(self, request: SayRequest, ctx: Context) -> SayReply:
        return SayReply(number=len(request.text))

    async def history(self, asked: HistoryRequest, _ctx: Context) -> HistoryReply:
        return HistoryReply(messages=[ChatMessage(number=asked.limit)])

    async def kick(self, request: KickRequest, ctx: Context) -> KickReply:
        return KickReply(was_present=bool(request.who))

    async def messages(self, request: MessagesRequest, ctx: Context) -> AsyncIterator[ChatMessage]:
        for number in range(request.test_lines):
            yield ChatMessage(number=number)

    async def upload(self, pieces: AsyncIterator[FilePiece], ctx: Context) -> UploadReply:
        size = 0
        async for piece in pieces:
            size += len(piece.data)
        return UploadReply(size_bytes=size)

    async def presence(
        self, request: PresenceRequest, ctx: Context
    ) -> AsyncIterator[PresenceChange]:
        yield PresenceChange(who="bob", present=True)

    async def cursors(
        self, moves: AsyncIterator[CursorMove], ctx: Context
    ) -> AsyncIterator[CursorMove]:
        async for move in moves:
            yield move


async def pieces() -> AsyncIterator[FilePiece]:
    yield FilePiece(data=b"piece")


async def moves() -> AsyncIterator[CursorMove]:
    yield CursorMove(x=1)


async def call(caller: Caller) -> None:
    """Each kind of method, with the type that comes out."""
    room = ChatClient(caller)
    assert_type(await room.say(SayRequest(text="hello"), timeout=2), SayReply)
    assert_type(await room.kick(KickRequest(), metadata={"why": "spam"}, durable=True), KickReply)
    async for line in room.messages(MessagesRequest(test_lines=3)):
        assert_type(line, ChatMessage)
    assert_type(await room.upload(pieces(), timeout=60), UploadReply)
    async for move in room.cursors(moves()):
        assert_type(move, CursorMove)
    assert_type(ChatService.SAY, Method[SayRequest, SayReply])
    await room.tell(ChatService.SAY, SayRequest(text="hello"), durable=True)
    Room()
