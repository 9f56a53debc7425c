"""Actors of two contracts over a real wire: those that understand each other, and others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatService
from actr_peer import CallError, Code, Context, Service, System
from actr_peer.errors import DeadlineError
from actr_peer.node.node import Node
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.contracts.refusals import refusal
from actr_peer.service import CallOptions, Method
from lab.quiet import Quiet
from peer_kit.links import eventually
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
async def met(url: str, room: Room | None = None) -> AsyncIterator[tuple[Room, Node, Node]]:
    room = room or Room()
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
        routes = there.assembly.dispatcher._routes
        carried: list[int] = []

        def note(route_key: str, number: int, judge: Any = routes.refusal) -> CallError | None:
            carried.append(number)
            error: CallError | None = judge(route_key, number)
            return error

        routes.refusal = note
        for number in (1, 2, 3):
            reply = await caller.unary(AS_GOOD, pb.KickRequest(who=f"ann {number}"), SOON)
            assert reply.number == number
        assert room.ran == ["ann 1", "ann 2", "ann 3"]
        assert there.assembly.dispatcher.counts.other_contract == 1
        # So that another process in its place, with yet another contract, refuses them.
        assert carried == [AS_GOOD.contract, *[ChatService.SAY.contract] * 3]


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


class Passing(Room):
    """Calls another actor, which refuses, and lets its own caller hear of that."""

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        self.ran.append("say")
        raise _refused(ChatService.SAY)

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        self.ran.append((await anext(requests)).data.decode())
        raise _refused(ChatService.UPLOAD)

    async def messages(
        self, request: pb.MessagesRequest, ctx: Context
    ) -> AsyncIterator[pb.ChatMessage]:
        self.ran.append("messages")
        raise _refused(ChatService.MESSAGES)
        yield


def _refused(method: Method[Any, Any]) -> CallError:
    error = refusal(method.route_key, method.form)
    assert error is not None
    return error


async def test_the_refusal_of_an_actor_behind_is_none_of_the_one_that_was_called(url: str) -> None:
    async with met(url, Passing()) as (room, _, here):
        caller = here.ref.to(ROOM)
        for name, call in {
            "unary": lambda: caller.unary(ChatService.SAY, pb.SayRequest(author="ann"), SOON),
            "stream": lambda: anext(
                caller.server_stream(ChatService.MESSAGES, pb.MessagesRequest(), SOON)
            ),
            "upload": lambda: caller.client_stream(
                ChatService.UPLOAD, pieces(pb.FilePiece(data=b"1"), pb.FilePiece(data=b"2")), SOON
            ),
        }.items():
            with pytest.raises(CallError, match="has another contract here") as raised:
                await call()
            assert raised.value.details == (), name
        assert room.ran == ["say", "messages", "1"]
        assert len(here.assembly.outbound.contracts) == 0


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


class Listening(Service):
    """A caller that hears what becomes of its tells."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    async def on_error(self, error: BaseException) -> None:
        self.errors.append(error)


@pytest.mark.parametrize("durable", [False, True])
async def test_a_tell_of_a_contract_that_is_as_good_runs_once(
    url: str, durable: bool, tmp_path: Path
) -> None:
    room = Room()
    kept = config("ann", url, mailbox_path=tmp_path / "ann.db")
    async with (
        System(config("room", url)).attach(room) as there,
        System(kept).attach(Service()) as here,
    ):
        caller = here.ref.to(ROOM)
        for number in (1, 2, 3):
            asked = CallOptions(durable=durable)
            await caller.tell(AS_GOOD, pb.KickRequest(who=f"ann {number}"), asked)
            await eventually(lambda number=number: len(room.ran) == number)
        assert room.ran == ["ann 1", "ann 2", "ann 3"]
        assert there.assembly.dispatcher.counts.other_contract == 1


async def test_a_tell_of_another_contract_never_runs_and_its_sender_hears_of_it(url: str) -> None:
    room, ann = Room(), Listening()
    urgent = other(ChatService.SAY, payload_type=PayloadType.RPC_SIGNAL)
    async with (
        System(config("room", url)).attach(room),
        System(config("ann", url)).attach(ann) as here,
    ):
        caller = here.ref.to(ROOM)
        await caller.tell(urgent, pb.SayRequest(author="ann"), CallOptions())
        await eventually(lambda: len(ann.errors) == 1)
        assert "another contract at" in str(ann.errors[0])
        assert here.assembly.outbound.tells.lost == 1
        with pytest.raises(CallError, match="another contract at"):
            await caller.tell(urgent, pb.SayRequest(author="ann"), CallOptions())
    assert room.ran == []


async def test_durable_calls_are_compared_too(url: str, tmp_path: Path) -> None:
    room = Room()
    kept = config("ann", url, mailbox_path=tmp_path / "ann.db")
    asked = CallOptions(timeout=20, durable=True)
    async with (
        System(config("room", url)).attach(room),
        System(kept).attach(Service()) as here,
    ):
        caller = here.ref.to(ROOM)
        together = [
            caller.unary(AS_GOOD, pb.KickRequest(who=str(number)), asked) for number in range(5)
        ]
        await asyncio.gather(*together)
        assert room.ran == ["0", "1", "2", "3", "4"]
        urgent = other(ChatService.SAY, payload_type=PayloadType.RPC_SIGNAL)
        for _ in range(2):
            with pytest.raises(CallError, match="another contract at") as caught:
                await caller.unary(urgent, pb.SayRequest(author="ann"), asked)
            assert caught.value.code is Code.FAILED_PRECONDITION
        assert len(room.ran) == 5
        assert here.ref.durable_keys() == []


async def test_a_durable_call_of_an_earlier_start_is_compared_by_the_modules_that_are_there(
    url: str, tmp_path: Path
) -> None:
    kept = config("ann", url, mailbox_path=tmp_path / "ann.db")
    strange = other(AS_GOOD, route_key="demo.Chat.Sing")
    asked = CallOptions(durable="a key", timeout=2.0)
    async with System(kept).attach(Service()) as here:
        for method, key in ((AS_GOOD, "known"), (strange, "unknown")):
            with pytest.raises(DeadlineError, match="is kept"):
                await here.ref.to(ROOM).unary(
                    method, pb.KickRequest(who="ann"), replace(asked, durable=key)
                )
    room = Room()
    async with (
        System(config("room", url)).attach(room),
        System(kept).attach(Service()) as here,
    ):
        reply = await here.ref.to(ROOM).unary(
            AS_GOOD, pb.KickRequest(who="ann"), replace(asked, durable="known", timeout=20)
        )
        assert reply.number == 1
        with pytest.raises(CallError, match="no method"):
            await here.ref.to(ROOM).unary(
                strange, pb.KickRequest(who="ann"), replace(asked, durable="unknown", timeout=20)
            )
    assert room.ran == ["ann"]
