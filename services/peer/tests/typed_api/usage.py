"""Never run: type checkers alone read it, so that the typed API cannot change unseen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import assert_type

from google.protobuf.message import Message

from actr.demo.chat_actr import ChatClient, ChatService
from actr.demo.chat_pb2 import (
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
from actr_peer import (
    ActrId,
    ActrRef,
    Chunk,
    Context,
    DeferredReply,
    IncomingStream,
    IncomingStreams,
    PeerError,
    StreamEnd,
    StreamWriter,
    Transaction,
)
from actr_peer.service import Caller, Method


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


async def by_message(ref: ActrRef, ctx: Context, other: ActrId) -> None:
    """Calls and streams of a message, to whoever a text names."""
    assert_type(await ref.call(other, SayRequest()), Message)
    assert_type(await ctx.call("shell", SayRequest(), method=ChatService.SAY), SayReply)
    assert_type(await ctx.call("self", pieces(), method=ChatService.UPLOAD), UploadReply)
    await ref.tell("acme:room", SayRequest(), method=ChatService.SAY, durable=True)
    await ctx.tell(other.uri, SayRequest())
    async for change in ctx.stream(other, PresenceRequest()):
        assert_type(change, Message)
    async for change in ref.stream(other, PresenceRequest(), method=ChatService.PRESENCE):
        assert_type(change, PresenceChange)
    async with aclosing(ref.stream(other, PresenceRequest())) as changes:
        assert_type(await anext(changes), Message)


async def by_hand(ref: ActrRef, ctx: Context, other: ActrId) -> None:
    """Streams of a channel's id."""
    async with ref.stream(other, "telemetry") as stream:
        await feed(stream)
    assert_type(ctx.open_stream(other, "telemetry", latency_first=True), StreamWriter)
    async with ref.incoming("telemetry") as streams:
        await take(streams)

    async def heard(chunk: Chunk, sender: ActrId) -> None:
        assert_type(chunk.age, float | None)

    def over(end: StreamEnd, sender: ActrId) -> None:
        assert_type(end.error, PeerError | None)

    assert_type(ref.register_stream("telemetry", heard, on_end=over), Callable[[], None])


async def feed(stream: StreamWriter) -> None:
    await stream.send(b"21.5", {"unit": "K"})


async def take(streams: IncomingStreams) -> None:
    async for stream in streams:
        assert_type(stream, IncomingStream)
        async for chunk in stream:
            assert_type(chunk, Chunk)


async def once(ctx: Context) -> None:
    """What only a request of the mailbox has."""
    assert_type(ctx.transaction(), Transaction)
    assert_type(ctx.defer(), DeferredReply)
