"""What interceptors of calls see, change, answer and try again; the first is outermost."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer.errors import CallError, Code, LocalProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.rpc.destinations.interceptors import (
    CallDetails,
    ClientInterceptor,
    InterceptedGate,
)
from actr_peer.service import Caller, CallOptions

ROOM, OTHER = ActrId("acme", "room", "1"), ActrId("acme", "room", "2")


class Direct:
    """Notes what comes, and answers it."""

    def __init__(self) -> None:
        self.came: list[tuple[str, float | None, dict[str, str], bool | str]] = []
        self.failures = 0
        self.closed = 0

    def _note(self, method: Any, options: CallOptions) -> None:
        came = method.handler, options.timeout, dict(options.metadata), options.durable
        self.came.append(came)
        if self.failures:
            self.failures -= 1
            raise CallError(Code.UNAVAILABLE, "not now")

    async def unary(self, method: Any, request: Any, options: CallOptions) -> Any:
        self._note(method, options)
        return method.reply()

    async def tell(self, method: Any, request: Any, options: CallOptions) -> None:
        self._note(method, options)

    async def client_stream(
        self, method: Any, requests: AsyncIterable[Any], options: CallOptions
    ) -> Any:
        self._note(method, options)
        return pb.UploadReply(size_bytes=len([each async for each in requests]))

    async def server_stream(
        self, method: Any, request: Any, options: CallOptions
    ) -> AsyncIterator[Any]:
        self._note(method, options)
        try:
            for number in range(3):
                yield pb.PresenceChange(who=str(number))
        finally:
            self.closed += 1

    async def bidi_stream(
        self, method: Any, requests: AsyncIterable[Any], options: CallOptions
    ) -> AsyncIterator[Any]:
        self._note(method, options)
        async for each in requests:
            yield each


class Signs(ClientInterceptor):
    """Adds its name to what each call says."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: list[CallDetails] = []

    async def prepare(self, details: CallDetails) -> CallDetails:
        self.seen.append(details)
        path = details.metadata.get("path", "")
        return details.but(metadata={"path": path + self.name})


def client(
    direct: Direct, *interceptors: ClientInterceptor, reach: Any = None, target: Any = ROOM
) -> ChatClient:
    return ChatClient(InterceptedGate(direct, target, interceptors, reach))


async def moves() -> AsyncIterator[pb.CursorMove]:
    for number in range(2):
        yield pb.CursorMove(x=number)


async def pieces() -> AsyncIterator[pb.FilePiece]:
    for _ in range(2):
        yield pb.FilePiece()


async def every_kind(chat: ChatClient) -> None:
    await chat.say(pb.SayRequest())
    await chat.tell(ChatService.SAY, pb.SayRequest())
    assert (await chat.upload(pieces())).size_bytes == 2
    assert len([each async for each in chat.presence(pb.PresenceRequest())]) == 3
    assert len([each async for each in chat.cursors(moves())]) == 2


async def test_all_kinds_pass_all_interceptors_in_order() -> None:
    direct = Direct()
    await every_kind(client(direct, Signs("a"), ClientInterceptor(), Signs("b")))
    assert [came[0] for came in direct.came] == ["say", "say", "upload", "presence", "cursors"]
    assert {came[2]["path"] for came in direct.came} == {"ab"}


async def test_details_tell_what_the_caller_has_said() -> None:
    direct, signs = Direct(), Signs("a")
    chat = client(direct, signs)
    await chat.say(pb.SayRequest(), timeout=3, metadata={"k": "v"}, durable="key")
    (details,) = signs.seen
    assert (details.method, details.target) == (ChatService.SAY, ROOM)
    assert (details.timeout, details.metadata, details.durable) == (3, {"k": "v"}, "key")
    assert details.payload_type is PayloadType.RPC_RELIABLE
    assert direct.came == [("say", 3, {"k": "v", "path": "a"}, "key")]


@pytest.mark.parametrize(
    ("target", "seen"),
    [(ROOM, ROOM), (str(ROOM), ROOM), (ROOM.uri, ROOM), ("acme:room", "acme:room"), ("self",) * 2],
)
async def test_a_target_is_an_id_or_the_text_of_what_is_none(target: Any, seen: Any) -> None:
    signs = Signs("a")
    await client(Direct(), signs, target=target).say(pb.SayRequest())
    assert signs.seen[0].target == seen


@pytest.mark.parametrize("durable", [False, True])
def test_other_details_are_another_object(durable: bool) -> None:
    details = CallDetails(
        method=ChatService.SAY, target=ROOM, timeout=1, metadata={"a": "1"}, durable=durable
    )
    other = details.but(target=OTHER, timeout=2, metadata={"b": "2"})
    assert (details.target, details.timeout, details.metadata) == (ROOM, 1, {"a": "1"})
    assert (other.target, other.timeout) == (OTHER, 2)
    assert other.metadata == {"a": "1", "b": "2"}
    assert details.but() == details
    assert other.durable == durable


async def test_an_interceptor_may_try_again_or_answer_itself() -> None:
    class Again(ClientInterceptor):
        async def call_unary(self, proceed: Any, details: CallDetails, request: Any) -> Any:
            for _ in range(2):
                try:
                    return await proceed(details, request)
                except CallError:
                    continue
            return pb.SayReply(number=99)

    direct = Direct()
    direct.failures = 1
    chat = client(direct, Again(), Signs("a"))
    assert (await chat.say(pb.SayRequest())).number == 0
    assert len(direct.came) == 2
    direct.failures = 2
    assert (await chat.say(pb.SayRequest())).number == 99


async def test_an_interceptor_may_refuse_and_nothing_is_called() -> None:
    class Never(ClientInterceptor):
        async def prepare(self, details: CallDetails) -> CallDetails:
            raise CallError(Code.PERMISSION_DENIED, "never")

    direct = Direct()
    with pytest.raises(CallError, match="never"):
        await every_kind(client(direct, Never()))
    with pytest.raises(CallError, match="never"):
        await anext(aiter(client(direct, Never()).presence(pb.PresenceRequest())))
    assert direct.came == []


async def test_a_call_may_go_to_somebody_else_and_to_another_method() -> None:
    class Turns(ClientInterceptor):
        async def prepare(self, details: CallDetails) -> CallDetails:
            return replace(details.but(target=OTHER), method=ChatService.KICK)

    direct, other = Direct(), Direct()
    asked: list[Any] = []

    def reach(target: Any) -> Caller:
        asked.append(target)
        return other

    await client(direct, Turns(), reach=reach).say(pb.SayRequest())
    assert (direct.came, asked) == ([], [OTHER])
    assert [came[0] for came in other.came] == ["kick"]


async def test_a_stream_that_is_left_early_is_left_behind_the_interceptors_too() -> None:
    direct = Direct()
    chat = client(direct, Signs("a"), Signs("b"))
    async with aclosing(chat.presence(pb.PresenceRequest())) as changes:  # type: ignore[type-var]
        await anext(changes)
    assert direct.closed == 1


async def test_who_goes_on_with_something_else_is_told() -> None:
    class Forgets(ClientInterceptor):
        async def prepare(self, details: CallDetails) -> Any:
            return None

    with pytest.raises(LocalProtocolError, match="went on with None: give CallDetails"):
        await client(Direct(), Forgets()).say(pb.SayRequest())
