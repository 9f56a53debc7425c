"""Calls by the type of the message, from the shell and from a handler, to every destination."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_type

import pytest
from google.protobuf.message import Message

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatService
from actr_peer import ActrRef, Context, System
from actr_peer.errors import ConfigError, LocalProtocolError, UnreachableError
from lab.quiet import Quiet
from peer_kit.signaling import config, signaling_service

pytestmark = pytest.mark.service

ROOM = "acme:room@1:default"
EVERYBODY = [ROOM, "actr://default/acme:room@1", "acme:room"]


class Room(Quiet):
    """Says who it is; asked by ``via``, it asks somebody else."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.told: list[str] = []

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        self.told.append(f"{ctx.caller.name}: {request.text}")
        return pb.SayReply(number=len(self.told))

    async def history(self, request: pb.HistoryRequest, ctx: Context) -> pb.HistoryReply:
        return pb.HistoryReply(messages=[pb.ChatMessage(author=self.name)])

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        for who in (self.name, str(ctx.caller)):
            yield pb.PresenceChange(who=who)

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        return pb.UploadReply(size_bytes=sum([len(each.data) async for each in requests]))

    async def cursors(
        self, requests: AsyncIterator[pb.CursorMove], ctx: Context
    ) -> AsyncIterator[pb.CursorMove]:
        async for move in requests:
            yield move

    async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
        """Asks ``who`` for what it is, or tells it."""
        if request.reason == "tell":
            await ctx.tell(request.who, pb.SayRequest(text="told"))
        elif request.reason == "stream":
            changes = ctx.stream(request.who, pb.PresenceRequest(), method=ChatService.PRESENCE)
            self.told += [change.who async for change in changes]
        else:
            reply = await ctx.call(request.who, pb.HistoryRequest(), method=ChatService.HISTORY)
            self.told += [each.author for each in reply.messages]
        return pb.KickReply()


@dataclass
class Met:
    ref: ActrRef
    room: Room
    caller: Room
    shell: Room = field(default_factory=lambda: Room("shell"))


@asynccontextmanager
async def met(kept: Path | None = None) -> AsyncIterator[Met]:
    room, caller = Room("room"), Room("caller")
    async with (
        signaling_service() as url,
        System(config("room", url)).attach(room),
        System(config("caller", url, mailbox_path=kept)).attach(caller) as here,
    ):
        found = Met(here.ref, room, caller)
        here.ref.serve(found.shell)
        yield found


async def pieces() -> AsyncIterator[pb.FilePiece]:
    for _ in range(3):
        yield pb.FilePiece(data=b"xy")


async def moves() -> AsyncIterator[pb.CursorMove]:
    yield pb.CursorMove(who="ann")


async def test_the_shell_calls_by_the_message() -> None:
    async with met() as m:
        for number, target in enumerate(EVERYBODY, 1):
            reply = await m.ref.call(target, pb.SayRequest(text="hi"), timeout=10)
            assert_type(reply, Message)
            assert reply == pb.SayReply(number=number)
        typed = await m.ref.call(ROOM, pb.SayRequest(), method=ChatService.SAY)
        assert_type(typed, pb.SayReply)
        assert typed.number == 4
        sent = await m.ref.call(ROOM, pieces(), method=ChatService.UPLOAD)
        assert_type(sent, pb.UploadReply)
        assert sent.size_bytes == 6
        assert await m.ref.call("self", pb.HistoryRequest()) == await Room("caller").history(
            pb.HistoryRequest(),
            None,  # type: ignore[arg-type]
        )
        assert m.room.told[0] == "caller: hi"


async def test_the_shell_streams_by_the_message() -> None:
    async with met() as m:
        for target in EVERYBODY:
            replies = m.ref.stream(target, pb.PresenceRequest(), timeout=10)
            assert_type(replies, AsyncGenerator[Message, None])
            names = [each.who async for each in replies if isinstance(each, pb.PresenceChange)]
            assert names == ["room", str(m.ref.id)]
        both = m.ref.stream(ROOM, moves(), method=ChatService.CURSORS)
        assert_type(both, AsyncGenerator[pb.CursorMove, None])
        assert [move.who async for move in both] == ["ann"]


async def test_the_shell_tells_by_the_message_and_by_the_method(tmp_path: Path) -> None:
    async with met(tmp_path / "mailbox.db") as m:
        await m.ref.tell(ROOM, pb.SayRequest(text="1"), durable=True)
        await m.ref.tell(remote="self", request=pb.SayRequest(text="2"), method=ChatService.SAY)
        assert (await m.ref.call("self", pb.SayRequest(), method=ChatService.SAY)).number == 2
        while not m.room.told:
            await m.ref.call(ROOM, pb.HistoryRequest())
        assert (m.room.told, m.caller.told[0]) == (["caller: 1"], "caller: 2")


@pytest.mark.parametrize("target", [*EVERYBODY, "shell"])
async def test_a_handler_calls_tells_and_streams_by_the_message(target: str) -> None:
    async with met() as m:
        there = m.shell if target == "shell" else m.room
        for reason in ("call", "stream", "tell"):
            await m.ref.call("self", pb.KickRequest(who=target, reason=reason), timeout=10)
        assert m.caller.told == [there.name, there.name, str(m.ref.id)]
        while not there.told:
            await m.ref.call(ROOM, pb.HistoryRequest())
        assert there.told == ["caller: told"]


async def test_a_type_of_which_nobody_else_is_online_is_unreachable() -> None:
    async with met() as m:
        for nobody in ("acme:nobody", "acme:caller"):
            with pytest.raises(UnreachableError, match="no other actor of this type"):
                await m.ref.call(nobody, pb.HistoryRequest(), timeout=10)


async def refused(ref: ActrRef, *given: Any, **named: Any) -> str:
    with pytest.raises((LocalProtocolError, ConfigError)) as told:
        await ref.call(*given, **named)
    return str(told.value)


async def test_what_cannot_be_meant_is_refused_in_a_sentence() -> None:
    async with met() as m:
        assert "no request" in await refused(m.ref, ROOM, "hello")
        assert "needs method=" in await refused(m.ref, ROOM, pieces())
        assert "or stream()" in await refused(m.ref, ROOM, pb.PresenceRequest())
        streams = await refused(m.ref, ROOM, pb.PresenceRequest(), method=ChatService.PRESENCE)
        assert "demo.Chat.Presence is server_stream: use stream()" in streams
        upload = await refused(m.ref, ROOM, pieces(), method=ChatService.UPLOAD, durable=True)
        assert "cannot be durable" in upload
        assert "this is the shell" in await refused(m.ref, "shell", pb.HistoryRequest())
        assert "write an actor id" in await refused(m.ref, "acme", pb.HistoryRequest())
        with pytest.raises(LocalProtocolError, match=r"unary: use call\(\)"):
            m.ref.stream(ROOM, pb.SayRequest(), method=ChatService.SAY)
        with pytest.raises(LocalProtocolError, match="give a row, as RoomService"):
            await m.ref.call(ROOM, pb.SayRequest(), method="Say")  # type: ignore[call-overload]


async def test_an_option_that_cannot_act_is_refused_and_not_dropped() -> None:
    async with met() as m:
        stream: Any = m.ref.stream
        with pytest.raises(LocalProtocolError, match="latency_first= is for a channel"):
            stream(ROOM, pb.PresenceRequest(), latency_first=True)
        for given in ({"timeout": 5.0}, {"metadata": {}}, {"method": ChatService.PRESENCE}):
            with pytest.raises(LocalProtocolError, match="= is for a request: 'q' is a channel"):
                stream(ROOM, "q", **given)
