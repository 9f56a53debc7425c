"""Generated services and clients, joined by a caller that is one function call long."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast, get_type_hints

import pytest

from actr.demo import chat_actr, chat_pb2
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer.errors import LocalProtocolError
from actr_peer.service import (
    DEFAULT_OPTIONS,
    CallOptions,
    Method,
    MethodKind,
    PayloadType,
    Req,
    Res,
    Service,
    known_method,
    method_taking,
)

CTX = cast(Any, object())


class Room(ChatService):
    """Answers with what it was asked."""

    def __init__(self) -> None:
        self.told: list[chat_pb2.SayRequest] = []

    async def say(self, request: chat_pb2.SayRequest, ctx: object) -> chat_pb2.SayReply:
        self.told.append(request)
        return chat_pb2.SayReply(number=len(self.told))

    async def history(self, request: chat_pb2.HistoryRequest, ctx: object) -> chat_pb2.HistoryReply:
        return chat_pb2.HistoryReply()

    async def kick(self, request: chat_pb2.KickRequest, ctx: object) -> chat_pb2.KickReply:
        return chat_pb2.KickReply(was_present=request.who == "bob")

    async def messages(
        self, request: chat_pb2.MessagesRequest, ctx: object
    ) -> AsyncIterator[chat_pb2.ChatMessage]:
        for number in range(request.test_lines):
            yield chat_pb2.ChatMessage(number=number)

    async def upload(
        self, requests: AsyncIterator[chat_pb2.FilePiece], ctx: object
    ) -> chat_pb2.UploadReply:
        return chat_pb2.UploadReply(size_bytes=sum([len(piece.data) async for piece in requests]))

    async def presence(
        self, request: chat_pb2.PresenceRequest, ctx: object
    ) -> AsyncIterator[chat_pb2.PresenceChange]:
        yield chat_pb2.PresenceChange(who="bob", present=True)

    async def cursors(
        self, requests: AsyncIterator[chat_pb2.CursorMove], ctx: object
    ) -> AsyncIterator[chat_pb2.CursorMove]:
        async for move in requests:
            yield chat_pb2.CursorMove(who=move.who, x=-move.x, y=-move.y)


class Direct:
    """A caller that runs the handler in place and keeps what it was given."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.calls: list[tuple[Method[Any, Any], CallOptions]] = []

    def _handler(self, method: Method[Any, Any], options: CallOptions, kind: MethodKind) -> Any:
        assert method.kind is kind
        self.calls.append((method, options))
        return getattr(self._service, method.handler)

    async def unary(self, method: Method[Req, Res], request: Req, options: CallOptions) -> Res:
        handler = self._handler(method, options, MethodKind.UNARY)
        return cast(Res, await handler(request, CTX))

    def server_stream(
        self, method: Method[Req, Res], request: Req, options: CallOptions
    ) -> AsyncIterator[Res]:
        handler = self._handler(method, options, MethodKind.SERVER_STREAM)
        return cast(AsyncIterator[Res], handler(request, CTX))

    async def client_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> Res:
        handler = self._handler(method, options, MethodKind.CLIENT_STREAM)
        return cast(Res, await handler(aiter(requests), CTX))

    def bidi_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> AsyncIterator[Res]:
        handler = self._handler(method, options, MethodKind.BIDI_STREAM)
        return cast(AsyncIterator[Res], handler(aiter(requests), CTX))

    async def tell(self, method: Method[Req, Any], request: Req, options: CallOptions) -> None:
        await self._handler(method, options, MethodKind.UNARY)(request, CTX)


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def caller(room: Room) -> Direct:
    return Direct(room)


@pytest.fixture
def client(caller: Direct) -> ChatClient:
    return ChatClient(caller)


async def test_a_unary_call_is_awaited(client: ChatClient, caller: Direct, room: Room) -> None:
    request = chat_pb2.SayRequest(text="hello")
    assert (await client.say(request)).number == 1
    assert room.told[0] is request
    assert caller.calls == [(ChatService.SAY, DEFAULT_OPTIONS)]


async def test_replies_are_iterated(client: ChatClient) -> None:
    lines = client.messages(chat_pb2.MessagesRequest(test_lines=3))
    assert [line.number async for line in lines] == [0, 1, 2]


async def test_requests_are_given_as_an_iterator(client: ChatClient) -> None:
    async def pieces() -> AsyncIterator[chat_pb2.FilePiece]:
        yield chat_pb2.FilePiece(data=b"12")
        yield chat_pb2.FilePiece(data=b"345")

    assert (await client.upload(pieces())).size_bytes == 5


async def test_both_sides_stream(client: ChatClient) -> None:
    async def moves() -> AsyncIterator[chat_pb2.CursorMove]:
        yield chat_pb2.CursorMove(x=1)
        yield chat_pb2.CursorMove(x=2)

    assert [move.x async for move in client.cursors(moves())] == [-1, -2]


async def test_a_tell_has_no_reply(client: ChatClient, caller: Direct, room: Room) -> None:
    await client.tell(ChatService.SAY, chat_pb2.SayRequest(text="hello"), durable=True)
    assert [request.text for request in room.told] == ["hello"]
    assert caller.calls[0][1].durable


async def test_what_a_call_says_reaches_the_caller(client: ChatClient, caller: Direct) -> None:
    request = chat_pb2.KickRequest(who="bob")
    await client.kick(request, timeout=2, metadata={"why": "spam"}, durable=True)
    assert caller.calls == [
        (ChatService.KICK, CallOptions(timeout=2, metadata={"why": "spam"}, durable=True))
    ]
    assert [c async for c in client.presence(chat_pb2.PresenceRequest(), timeout=1)]
    assert caller.calls[1] == (ChatService.PRESENCE, CallOptions(timeout=1))
    assert caller.calls[1][1].metadata == {}


def test_only_unary_calls_can_be_durable() -> None:
    for name, method in ((method.handler, method) for method in ChatService.METHODS):
        parameters = inspect.signature(getattr(ChatClient, name)).parameters
        assert ("durable" in parameters) is (method.kind is MethodKind.UNARY)


def test_a_workload_without_all_handlers_cannot_be_made() -> None:
    class Half(ChatService):
        async def say(self, request: chat_pb2.SayRequest, ctx: object) -> chat_pb2.SayReply:
            raise NotImplementedError

    with pytest.raises(TypeError, match="cursors"):
        Half()  # type: ignore[abstract]


def test_the_table_names_route_handler_and_lane_of_each_method() -> None:
    table = ChatService.method_table()
    assert {key: (row.handler, row.payload_type) for key, row in table.items()} == {
        "demo.Chat.Say": ("say", PayloadType.RPC_RELIABLE),
        "demo.Chat.History": ("history", PayloadType.RPC_RELIABLE),
        "demo.Chat.Kick": ("kick", PayloadType.RPC_SIGNAL),
        "demo.Chat.Messages": ("messages", PayloadType.STREAM_LATENCY_FIRST),
        "demo.Chat.Upload": ("upload", PayloadType.STREAM_RELIABLE),
        "demo.Chat.Presence": ("presence", PayloadType.STREAM_RELIABLE),
        "demo.Chat.Cursors": ("cursors", PayloadType.STREAM_LATENCY_FIRST),
    }
    assert table["demo.Chat.Say"] is ChatService.SAY
    assert isinstance(table, MappingProxyType)


def test_a_workload_of_two_services_has_both_tables_and_fingerprints() -> None:
    class Empty(Service):
        SERVICE_NAME = "demo.Empty"
        FINGERPRINT = "00"

    class Both(Room, Empty):
        pass

    assert len(Both.method_table()) == 7
    assert Both.fingerprints() == {
        "demo.Chat": ChatService.FINGERPRINT,
        "demo.Empty": "00",
    }


def test_a_generated_module_exports_its_classes_alone() -> None:
    assert chat_actr.__all__ == ["ChatClient", "ChatService"]


def test_annotations_of_clients_are_real_types() -> None:
    assert get_type_hints(ChatClient.say)["return"] is chat_pb2.SayReply


def test_a_method_is_known_by_its_request() -> None:
    assert method_taking(chat_pb2.SayRequest, replies_stream=False) is ChatService.SAY
    assert method_taking(chat_pb2.PresenceRequest, replies_stream=True) is ChatService.PRESENCE


@pytest.mark.parametrize(
    ("request_type", "replies_stream", "sentence"),
    [
        (chat_pb2.SayReply, False, "no known method takes demo.SayReply"),
        (chat_pb2.SayRequest, True, r"demo.Chat.Say, which is unary: use ChatClient, or call\(\)"),
        (chat_pb2.MessagesRequest, False, r"server_stream: use ChatClient, or stream\(\)"),
        (chat_pb2.FilePiece, False, r"client_stream: use ChatClient, or call\(\) with method="),
    ],
)
def test_a_request_that_tells_no_method_is_refused_in_a_sentence(
    request_type: Any, replies_stream: bool, sentence: str
) -> None:
    with pytest.raises(LocalProtocolError, match=sentence):
        method_taking(request_type, replies_stream=replies_stream)


def test_a_request_of_several_methods_names_them_and_their_clients() -> None:
    rows = [
        replace(ChatService.SAY, route_key=f"demo.Two.{name}", request=chat_pb2.UploadReply)
        for name in ("Read", "Drop")
    ]
    type("TwoService", (Service,), {"SERVICE_NAME": "demo.Two", "METHODS": tuple(rows)})
    sentence = "demo.UploadReply is taken by demo.Two.Drop and demo.Two.Read: .*method=.*TwoClient"
    with pytest.raises(LocalProtocolError, match=sentence):
        method_taking(chat_pb2.UploadReply, replies_stream=False)


def test_a_workload_makes_no_method_known_a_second_time() -> None:
    row = replace(ChatService.KICK, handler_timeout=1.0)
    type("Strict", (Room,), {"METHODS": (row,)})
    assert method_taking(chat_pb2.KickRequest, replies_stream=False) is ChatService.KICK


def test_a_method_is_known_by_its_route_key_once_its_module_is_there() -> None:
    assert known_method("demo.Chat.Say") is ChatService.SAY
    assert known_method("demo.Chat.Sing") is None
