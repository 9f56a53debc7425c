"""What a gateway knows of those it calls, how long, and when it asks again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actr.services.reflection_pb2 import Description, MethodDescription, ServiceDescription
from actr_peer.cli.verbs.gateway import contracts as module
from actr_peer.cli.verbs.gateway.contracts import Contracts
from actr_peer.errors import CallError, Code, UnreachableError
from actr_peer.protocol.identity import ActrId, ActrType
from actr_peer.protocol.signaling.presence import Presence
from peer_kit.contracts import chat, compiled

ROOM, TYPE = ActrId("acme", "room", "1"), ActrType("acme:room")
SAY, KICK = "chat.v1.Chat.Say", "chat.v1.Chat.Kick"
FILES = compiled({"chat.proto": chat("rpc Say(Ask) returns (Reply);")}).proto_file


class Actor:
    """An actor that tells its contract, and signaling that knows of it."""

    id = ActrId("actr", "gateway", "1")

    def __init__(self, *methods: str) -> None:
        self.methods = list(methods)
        self.asked: list[str] = []
        self.online: list[ActrId] = []
        self.looked = 0
        self.was_asked = asyncio.Event()
        self.may_tell = asyncio.Event()
        self.may_tell.set()

    def to(self, remote: str) -> Any:
        return _Asked(self, remote)

    async def discover(self, *, service: str) -> list[Presence]:
        self.looked += 1
        return [Presence(id=each) for each in self.online]


class _Asked:
    def __init__(self, actor: Actor, remote: str) -> None:
        self._actor, self._remote = actor, remote

    async def server_stream(self, *_: object) -> AsyncIterator[Description]:
        self._actor.asked.append(self._remote)
        self._actor.was_asked.set()
        await self._actor.may_tell.wait()
        described = [
            MethodDescription(name=name, request="chat.v1.Ask", reply="chat.v1.Reply")
            for name in self._actor.methods
        ]
        yield Description(service=ServiceDescription(name="chat.v1.Chat", methods=described))
        for file in FILES:
            yield Description(file=file.SerializeToString())


def known(actor: Actor, **services: ActrType) -> Contracts:
    ref: Any = actor
    return Contracts(ref, {}, services)


async def test_a_contract_is_asked_for_once_also_by_many_at_once() -> None:
    actor = Actor("Say")
    contracts = known(actor)
    found = await asyncio.gather(*(contracts.callee(ROOM, SAY, 5.0) for _ in range(10)))
    assert {each.method.route_key for each in found} == {SAY}
    assert actor.asked == [ROOM.text]


async def test_a_caller_that_leaves_lets_the_next_one_ask() -> None:
    actor = Actor("Say")
    actor.may_tell.clear()
    contracts = known(actor)
    first = asyncio.ensure_future(contracts.callee(ROOM, SAY, 5.0))
    second = asyncio.ensure_future(contracts.callee(ROOM, SAY, 5.0))
    await actor.was_asked.wait()
    first.cancel()
    actor.may_tell.set()
    assert (await second).method.route_key == SAY
    assert len(actor.asked) == 2


async def test_what_was_forgotten_is_asked_for_anew_but_not_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    actor = Actor("Say")
    contracts = known(actor)
    await contracts.callee(ROOM, SAY, 5.0)
    contracts.forget(ROOM)
    await contracts.callee(ROOM, SAY, 5.0)
    assert len(actor.asked) == 1
    monkeypatch.setattr(module, "SOON_SECONDS", -1.0)
    contracts.forget(ROOM)
    contracts.forget(TYPE)
    await contracts.callee(ROOM, SAY, 5.0)
    assert len(actor.asked) == 2


async def test_a_method_that_is_not_there_is_looked_for_again_but_not_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    actor = Actor("Say")
    contracts = known(actor)
    for _ in range(3):
        with pytest.raises(CallError) as caught:
            await contracts.callee(ROOM, KICK, 5.0)
        assert caught.value.code is Code.UNIMPLEMENTED
    assert len(actor.asked) == 1
    actor.methods.append("Kick")
    monkeypatch.setattr(module, "SOON_SECONDS", -1.0)
    assert (await contracts.callee(ROOM, KICK, 5.0)).method.route_key == KICK


async def test_no_more_are_remembered_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KNOWN", 2)
    actor = Actor("Say")
    contracts = known(actor)
    for number in (1, 2, 3, 1):
        await contracts.callee(ActrId("acme", "room", str(number)), SAY, 5.0)
    assert len(actor.asked) == 4


async def test_a_service_means_the_one_type_that_serves_it() -> None:
    actor = Actor("Say")
    actor.online = [ROOM, ActrId("acme", "room", "2"), actor.id]
    contracts = known(actor)
    assert await contracts.serving("chat.v1.Chat", lambda _: True) == TYPE
    assert await contracts.serving("chat.v1.Chat", lambda _: True) == TYPE
    assert actor.looked == 1


async def test_several_types_are_named_as_far_as_the_caller_may_ask_them() -> None:
    actor = Actor("Say")
    actor.online = [ROOM, ActrId("acme", "hall", "1"), ActrId("acme", "vault", "1")]
    contracts = known(actor)
    with pytest.raises(CallError) as caught:
        await contracts.serving("chat.v1.Chat", lambda each: "vault" not in each.text)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "acme:hall and acme:room" in caught.value.message
    assert "vault" not in caught.value.message
    assert await contracts.serving("chat.v1.Chat", lambda each: "room" in each.text) == TYPE


async def test_nobody_who_serves_it_is_looked_for_each_time() -> None:
    actor = Actor("Say")
    contracts = known(actor)
    with pytest.raises(UnreachableError):
        await contracts.serving("chat.v1.Chat", lambda _: True)
    actor.online = [ROOM]
    assert await contracts.serving("chat.v1.Chat", lambda _: True) == TYPE


async def test_a_service_of_the_rules_is_looked_for_nowhere() -> None:
    actor = Actor("Say")
    contracts = known(actor, **{"chat.v1.Chat": TYPE})
    assert await contracts.serving("chat.v1.Chat", lambda _: False) == TYPE
    assert actor.looked == 0
