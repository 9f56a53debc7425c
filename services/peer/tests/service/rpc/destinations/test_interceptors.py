"""Interceptors of real actors: alike in process and between processes, for every kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer import (
    ActrRef,
    CallDetails,
    CallError,
    ClientInterceptor,
    Code,
    Context,
    HandlerInterceptor,
    System,
)
from actr_peer.service import Caller
from lab.quiet import Quiet
from peer_kit.signaling import config, signaling_service

pytestmark = pytest.mark.service


class Room(Quiet):
    """Tells what metadata came with what was asked."""

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        if request.text == "fail":
            raise CallError(Code.ABORTED, "as asked")
        if request.text == "shell":
            return await ChatClient(ctx.shell).say(pb.SayRequest())
        if request.text == "later":
            reply = ctx.defer()
            reply.send(pb.SayReply(number=8))
            later: pb.SayReply = reply.later
            return later
        return pb.SayReply(number=len(ctx.metadata.get("path", "")))

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        yield pb.PresenceChange(who=ctx.metadata.get("path", ""))

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        count = len([each async for each in requests])
        return pb.UploadReply(size_bytes=count, sha256=ctx.metadata.get("path", ""))

    async def cursors(
        self, requests: AsyncIterator[pb.CursorMove], ctx: Context
    ) -> AsyncIterator[pb.CursorMove]:
        async for _ in requests:
            yield pb.CursorMove(who=ctx.metadata.get("path", ""))


@dataclass
class Sees(ClientInterceptor, HandlerInterceptor):
    """Notes what passes; handlers are refused while ``error`` is set."""

    name: str
    asked: list[str] = field(default_factory=list)
    handled: list[str] = field(default_factory=list)
    error: CallError | None = None

    async def prepare(self, details: CallDetails) -> CallDetails:
        self.asked.append(f"{details.method.handler} {details.payload_type.name}")
        return details.but(metadata={"path": details.metadata.get("path", "") + self.name})

    async def admit(self, ctx: Context) -> None:
        path = ctx.metadata.get("path", "")
        self.handled.append(f"{ctx.method.handler} {ctx.method.payload_type.name} {path}")
        if self.error is not None:
            raise self.error


@dataclass
class Met:
    here: ActrRef
    room: ActrRef
    calls: Sees
    """Of the actor that calls, and of its own handlers."""
    handles: Sees
    """Of the other one."""


@asynccontextmanager
async def met() -> AsyncIterator[Met]:
    calls, inner, handles = Sees("a"), Sees("b"), Sees("r")
    async with (
        signaling_service() as url,
        System(config("room", url)).attach(Room(), interceptors=[handles]) as room,
        System(config("caller", url)).attach(Room(), interceptors=[calls, inner]) as here,
    ):
        here.ref.serve(Room())
        yield Met(here.ref, room.ref, calls, handles)


async def pieces() -> AsyncIterator[pb.FilePiece]:
    yield pb.FilePiece()


async def moves() -> AsyncIterator[pb.CursorMove]:
    yield pb.CursorMove()


async def paths(caller: Caller) -> list[str]:
    """What each kind of handler has heard of those on the way."""
    chat = ChatClient(caller)
    count = (await chat.say(pb.SayRequest(), timeout=30)).number
    uploaded = await chat.upload(pieces(), timeout=30)
    changes = [each.who async for each in chat.presence(pb.PresenceRequest(), timeout=30)]
    back = [each.who async for each in chat.cursors(moves(), timeout=30)]
    await chat.tell(ChatService.SAY, pb.SayRequest())
    return ["ab"[:count], uploaded.sha256, *changes, *back]


ASKED = [
    "say RPC_RELIABLE",
    "upload STREAM_RELIABLE",
    "presence STREAM_RELIABLE",
    "cursors STREAM_LATENCY_FIRST",
]
TARGETS: dict[str, Callable[[Met], Caller]] = {
    "another process": lambda met: met.here.to(met.room.id),
    "a type": lambda met: met.here.any("acme:room"),
    "the ref": lambda met: met.here,
    "the own id": lambda met: met.here.to(met.here.id),
    "self": lambda met: met.here.to("self"),
    "the own mailbox": lambda met: met.here.to_self(),
}


@pytest.mark.parametrize("target", TARGETS)
async def test_all_kinds_pass_alike_wherever_they_go(target: str) -> None:
    async with met() as both:
        caller = TARGETS[target](both)
        assert await paths(caller) == ["ab"] * 4
        assert both.calls.asked == [*ASKED, "say RPC_RELIABLE"]
        handles = both.handles if target in ("another process", "a type") else both.calls
        assert handles.handled[:4] == [f"{each} ab" for each in ASKED]


@pytest.mark.parametrize("target", TARGETS)
async def test_a_handler_that_is_refused_answers_with_the_interceptor_s_error(target: str) -> None:
    async with met() as both:
        error = CallError(Code.UNAUTHENTICATED, "who are you")
        both.calls.error = both.handles.error = error
        chat = ChatClient(TARGETS[target](both))
        with pytest.raises(CallError, match="who are you") as told:
            await chat.say(pb.SayRequest(), timeout=30)
        assert told.value.code is Code.UNAUTHENTICATED
        with pytest.raises(CallError, match="who are you"):
            await chat.upload(pieces(), timeout=30)
        for items in (chat.presence(pb.PresenceRequest()), chat.cursors(moves())):
            with pytest.raises(CallError, match="who are you"):
                await anext(aiter(items))


async def test_calls_of_a_handler_and_those_to_the_shell_pass_too() -> None:
    async with met() as both:
        reply = await ChatClient(both.here).say(pb.SayRequest(text="shell"))
        assert reply.number == len("ab")
        assert both.calls.asked == ["say RPC_RELIABLE"] * 2
        assert len(both.calls.handled) == 2


async def test_a_reply_that_is_put_off_passes() -> None:
    async with met() as both:
        reply = await ChatClient(both.here.to(both.room.id)).say(pb.SayRequest(text="later"))
        assert reply.number == 8


async def test_an_error_of_the_handler_comes_as_it_is() -> None:
    async with met() as both:
        for caller in (both.here.to(both.room.id), both.here):
            with pytest.raises(CallError, match="as asked") as told:
                await ChatClient(caller).say(pb.SayRequest(text="fail"))
            assert told.value.code is Code.ABORTED
