"""Actors of two contracts over a real wire: those that understand each other, and others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from actr_peer import CallError, Code, Context, Service, System
from actr_peer.node.node import Node
from actr_peer.protocol.payload import PayloadType
from actr_peer.service import CallOptions, Method
from demo import chat_pb2 as pb
from demo.chat_actr import ChatService
from lab.quiet import Quiet
from peer_kit.place import Place
from peer_kit.signaling import config

pytestmark = pytest.mark.service

ROOM = "acme:room@1:default"
SOON = CallOptions(timeout=20)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Place(tmp_path_factory.mktemp("realm")).signaling() as url:
        yield url


class Room(Quiet):
    """Counts what runs."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        self.ran.append(request.author)
        return pb.SayReply(number=len(self.ran))

    async def messages(
        self, request: pb.MessagesRequest, ctx: Context
    ) -> AsyncIterator[pb.ChatMessage]:
        self.ran.append("messages")
        yield pb.ChatMessage(number=1)

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        self.ran.append("presence")
        yield pb.PresenceChange(who="ann")

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        self.ran.append("upload")
        return pb.UploadReply(size_bytes=sum([len(piece.data) async for piece in requests]))

    async def cursors(
        self, requests: AsyncIterator[pb.CursorMove], ctx: Context
    ) -> AsyncIterator[pb.CursorMove]:
        self.ran.append("cursors")
        async for move in requests:
            yield move


@asynccontextmanager
async def met(url: str) -> AsyncIterator[tuple[Room, Node, Node]]:
    room = Room()
    async with (
        System(config("room", url)).attach(room) as there,
        System(config("ann", url)).attach(Service()) as here,
    ):
        yield room, there, here


def other(method: Method[Any, Any], **fields: Any) -> Method[Any, Any]:
    return replace(method, **fields)


AS_GOOD = other(ChatService.SAY, request=pb.KickRequest)
"""Two texts, as the room takes them, of another name."""


async def pieces(*messages: Any) -> AsyncIterator[Any]:
    for message in messages:
        yield message


async def test_a_contract_that_only_adds_is_found_out_once_and_called_as_ever(url: str) -> None:
    async with met(url) as (room, there, here):
        caller = here.ref.to(ROOM)
        for number in (1, 2, 3):
            reply = await caller.unary(AS_GOOD, pb.KickRequest(who=f"ann {number}"), SOON)
            assert reply.number == number
        assert room.ran == ["ann 1", "ann 2", "ann 3"]
        assert there.assembly.dispatcher.counts.other_contract == 1


async def test_streams_of_a_contract_that_is_as_good_lose_none_of_their_requests(url: str) -> None:
    async with met(url) as (room, _, here):
        caller = here.ref.to(ROOM)
        listen = other(ChatService.MESSAGES, reply=pb.SayReply)
        replies = [
            reply async for reply in caller.server_stream(listen, pb.MessagesRequest(), SOON)
        ]
        assert [reply.number for reply in replies] == [1]
        moves = other(ChatService.CURSORS, reply=pb.PresenceRequest)
        sent = pieces(*(pb.CursorMove(who=str(number)) for number in range(3)))
        assert len([move async for move in caller.bidi_stream(moves, sent, SOON)]) == 3
        upload = other(ChatService.UPLOAD, reply=pb.SayReply)
        sent = pieces(pb.FilePiece(data=b"abc"), pb.FilePiece(data=b"de"))
        assert (await caller.client_stream(upload, sent, SOON)).number == 5
        assert room.ran == ["messages", "cursors", "upload"]


@pytest.mark.parametrize(
    ("method", "request_", "said"),
    [
        (
            other(ChatService.SAY, request=pb.HistoryRequest),
            pb.HistoryRequest(limit=1),
            "field 1 of demo.HistoryRequest is uint32 limit on one side and string author",
        ),
        (
            other(ChatService.SAY, payload_type=PayloadType.RPC_SIGNAL),
            pb.SayRequest(author="ann"),
            "it is RPC_RELIABLE there and RPC_SIGNAL here",
        ),
        (
            other(
                ChatService.PRESENCE,
                kind=ChatService.SAY.kind,
                payload_type=PayloadType.RPC_RELIABLE,
            ),
            pb.PresenceRequest(),
            "it is server_stream there and unary here",
        ),
    ],
)
async def test_a_call_of_another_contract_is_refused_with_the_method_and_never_runs(
    url: str, method: Method[Any, Any], request_: Any, said: str
) -> None:
    async with met(url) as (room, _, here):
        caller = here.ref.to(ROOM)
        for _ in range(2):
            with pytest.raises(CallError) as raised:
                await caller.unary(method, request_, SOON)
            assert raised.value.code is Code.FAILED_PRECONDITION
            assert f"{method.route_key} has another contract at {ROOM}" in raised.value.message
            assert said in raised.value.message
        with pytest.raises(CallError, match="another contract"):
            await caller.tell(method, request_, SOON)
        assert room.ran == []
        assert (await caller.unary(ChatService.SAY, pb.SayRequest(author="bob"), SOON)).number == 1


async def test_a_stream_of_another_contract_is_refused_and_takes_nothing(url: str) -> None:
    taken: list[int] = []

    async def counted() -> AsyncIterator[Any]:
        for number in range(3):
            taken.append(number)
            yield pb.CursorMove()

    async with met(url) as (room, _, here):
        caller = here.ref.to(ROOM)
        late = other(ChatService.PRESENCE, payload_type=PayloadType.STREAM_LATENCY_FIRST)
        with pytest.raises(CallError, match="STREAM_RELIABLE there"):
            [item async for item in caller.server_stream(late, pb.PresenceRequest(), SOON)]
        spoken = other(ChatService.UPLOAD, request=pb.CursorMove)
        with pytest.raises(CallError, match=r"field 1 of demo\.CursorMove"):
            await caller.client_stream(spoken, counted(), SOON)
        back = other(ChatService.UPLOAD, kind=ChatService.CURSORS.kind)
        with pytest.raises(CallError, match="client_stream there and bidi_stream here"):
            [item async for item in caller.bidi_stream(back, pieces(), SOON)]
        opened = other(
            ChatService.SAY,
            kind=ChatService.PRESENCE.kind,
            payload_type=PayloadType.STREAM_RELIABLE,
        )
        with pytest.raises(CallError, match="unary there and server_stream here"):
            [item async for item in caller.server_stream(opened, pb.SayRequest(), SOON)]
        assert (taken, room.ran) == ([], [])
