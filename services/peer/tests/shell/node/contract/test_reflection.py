"""What an actor tells of itself: its services, and the files that declare their messages."""

from __future__ import annotations

import pytest

from actr.demo.chat_actr import ChatService
from actr.services.files_actr import FilesService
from actr.services.reflection_pb2 import DescribeRequest, Description
from actr_peer.errors import CallError, Code
from actr_peer.node.contract.reflection import ReflectionHere
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.service import Service


class Asked:
    self_id = ActrId("acme", "room", "1", "default")


class Both(ChatService, FilesService):
    """Two services of one object."""


async def told(
    *services: type[Service], wanted: tuple[str, ...] = (), is_on: bool = True
) -> list[Description]:
    here = ReflectionHere(services, is_on=is_on)
    return [word async for word in here.describe(DescribeRequest(services=wanted), Asked())]


def names(words: list[Description]) -> list[str]:
    return [word.service.name for word in words if word.HasField("service")]


async def test_each_service_is_told_with_its_fingerprint_and_methods() -> None:
    (service,) = [word.service for word in await told(ChatService) if word.HasField("service")]
    assert (service.name, service.fingerprint) == ("demo.Chat", ChatService.FINGERPRINT)
    rows = {method.name: method for method in service.methods}
    assert list(rows) == [m.route_key.rpartition(".")[2] for m in ChatService.METHODS]
    messages = rows["Messages"]
    assert (messages.requests_stream, messages.replies_stream) == (False, True)
    assert messages.payload_type == PayloadType.STREAM_LATENCY_FIRST
    assert (messages.request, messages.reply) == ("demo.MessagesRequest", "demo.ChatMessage")


async def test_an_object_of_two_services_tells_both() -> None:
    assert set(names(await told(Both))) == {"demo.Chat", "actr.Files"}


async def test_each_file_comes_behind_those_that_it_imports_and_once() -> None:
    files = [word.file for word in await told(Both, ChatService) if word.HasField("file")]
    chat = next(i for i, file in enumerate(files) if b"actr/demo/chat.proto" in file)
    options = next(
        i for i, file in enumerate(files) if file.startswith(b"\n\x12actr/options.proto")
    )
    assert options < chat
    assert len(files) == len(set(files))


async def test_only_the_services_that_are_wanted_are_told() -> None:
    words = await told(Both, wanted=("actr.Files",))
    assert names(words) == ["actr.Files"]
    assert not any(b"actr/demo/chat.proto" in word.file for word in words)


async def test_a_service_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(CallError, match=r"no service 'demo.Chut'; it has demo\.Chat") as raised:
        await told(ChatService, wanted=("demo.Chut",))
    assert raised.value.code is Code.NOT_FOUND


async def test_an_actor_that_was_told_not_to_tells_nothing() -> None:
    with pytest.raises(CallError, match=r"actor\.reflection") as raised:
        await told(ChatService, is_on=False)
    assert raised.value.code is Code.UNIMPLEMENTED
