"""A contract as an actor tells it, and what is no contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from actr.demo.chat_actr import ChatService
from actr.services.reflection_pb2 import (
    DescribeRequest,
    Description,
    MethodDescription,
    ServiceDescription,
)
from actr_peer.cli.contracts import asked
from actr_peer.cli.contracts.asked import Contract, read
from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.node.contract.reflection import ReflectionHere
from actr_peer.protocol.identity import ActrId
from actr_peer.service import Service

ROOM = ActrId("acme", "room", "1", "default")
CHAT = ServiceDescription(
    name="demo.Chat",
    methods=[MethodDescription(name="Say", request="demo.SayRequest", reply="demo.SayReply")],
)


class Asked:
    self_id = ROOM


async def words_of(*services: type[Service]) -> list[Description]:
    here = ReflectionHere(services, is_on=True)
    return [word async for word in here.describe(DescribeRequest(), Asked())]


async def contract_of(words: Sequence[Description]) -> Contract:
    async def told() -> AsyncIterator[Description]:
        for word in words:
            yield word

    return await read(told(), ROOM)


async def test_methods_are_the_rows_of_the_generated_module_with_messages_of_their_own() -> None:
    contract = await contract_of(await words_of(ChatService))
    for row in ChatService.METHODS:
        found = contract.methods[row.route_key]
        assert (found.kind, found.payload_type) == (row.kind, row.payload_type)
        assert (found.handler, found.conflict_key) == (row.handler, row.conflict_key)
        assert found.request.DESCRIPTOR.full_name == row.request.DESCRIPTOR.full_name
        assert found.request is not row.request


@pytest.mark.parametrize(
    "words",
    [
        [Description(file=b"\xff")],
        [Description(service=CHAT)],
        [Description(file=b"\n\x07a.proto\x1a\x07b.proto")],
    ],
    ids=["no file", "a message that no file declares", "a file without what it imports"],
)
async def test_what_is_no_contract_is_told_as_a_breach(words: list[Description]) -> None:
    with pytest.raises(RemoteProtocolError, match="acme:room@1:default tells"):
        await contract_of(words)


async def test_a_lane_that_does_not_exist_is_no_contract() -> None:
    words = await words_of(ChatService)
    words[0].service.methods[0].payload_type = 77
    with pytest.raises(RemoteProtocolError, match=r"demo\.Chat\.Say"):
        await contract_of(words)


async def test_what_an_actor_tells_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    words = await words_of(ChatService)
    monkeypatch.setattr(asked, "MAX_WORDS", len(words) - 1)
    with pytest.raises(LimitError, match="contract of acme:room@1:default"):
        await contract_of(words)


async def test_words_of_a_later_version_are_passed_over() -> None:
    assert (await contract_of([Description()])).services == ()
