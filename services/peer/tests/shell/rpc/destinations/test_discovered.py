"""Which actor of a type is asked, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import pytest

from actr_peer.errors import (
    BrokenError,
    CallError,
    Code,
    DeadlineError,
    LocalProtocolError,
    UnreachableError,
)
from actr_peer.protocol.identity import ActrId, ActrType
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.rpc.destinations.discovered import DiscoveredGate
from actr_peer.rpc.destinations.scope import ROOT
from actr_peer.service import CallOptions
from demo import chat_pb2 as pb
from demo.chat_actr import ChatClient, ChatService

FIRST, SECOND = ActrId("acme", "room", "1"), ActrId("acme", "room", "2")


class Lab:
    """Whom signaling names, and what is asked of whom."""

    id = ActrId("acme", "caller", "1")
    call_timeout = 7.0

    def __init__(self) -> None:
        self.online: list[ActrId] = [FIRST, SECOND]
        self.asked: list[ActrId] = []
        self.timeouts: list[float | None] = []
        self.discovered = 0
        self.let = asyncio.Event()
        self.let.set()
        self.error: Exception | None = None
        self.is_signaling_gone = False
        self.gate = DiscoveredGate(
            ActrType("acme:room"),
            self,
            discover=self.discover,
            lookup=self.lookup,
            gate=self.reached,
            scope=ROOT,
        )

    async def lookup(self, actr_id: ActrId) -> Presence | None:
        if self.is_signaling_gone:
            raise UnreachableError(str(actr_id), "signaling is gone")
        return Presence(id=actr_id) if actr_id in self.online else None

    async def discover(self, *, limit: int) -> list[Presence]:
        self.discovered += 1
        await self.let.wait()
        return [Presence(id=each) for each in self.online[:limit]]

    def reached(self, chosen: ActrId) -> Lab:
        self.asked.append(chosen)
        return self

    def _done(self, options: CallOptions) -> Any:
        self.timeouts.append(options.timeout)
        if self.error is not None:
            raise self.error
        return pb.SayReply(number=1)

    async def unary(self, method: Any, request: Any, options: CallOptions) -> Any:
        return self._done(options)

    async def tell(self, method: Any, request: Any, options: CallOptions) -> None:
        self._done(options)

    async def client_stream(
        self, method: Any, requests: AsyncIterable[Any], options: CallOptions
    ) -> Any:
        return self._done(options)

    async def server_stream(
        self, method: Any, request: Any, options: CallOptions
    ) -> AsyncIterator[Any]:
        yield self._done(options)

    async def bidi_stream(
        self, method: Any, requests: AsyncIterable[Any], options: CallOptions
    ) -> AsyncIterator[Any]:
        yield self._done(options)


@pytest.fixture
async def lab() -> Lab:
    return Lab()


async def nothing() -> AsyncIterator[Any]:
    return
    yield


async def every_kind(lab: Lab) -> None:
    client = ChatClient(lab.gate)
    await client.say(pb.SayRequest())
    await client.tell(ChatService.SAY, pb.SayRequest())
    await client.upload(nothing())
    assert len([each async for each in client.presence(pb.PresenceRequest())]) == 1
    assert len([each async for each in client.cursors(nothing())]) == 1


async def test_all_calls_go_to_the_one_that_the_first_has_chosen(lab: Lab) -> None:
    await every_kind(lab)
    lab.online = [SECOND]
    await every_kind(lab)
    assert (lab.discovered, set(lab.asked), len(lab.asked)) == (1, {FIRST}, 10)


async def test_calls_at_one_time_choose_once(lab: Lab) -> None:
    client = ChatClient(lab.gate)
    lab.let.clear()
    async with asyncio.TaskGroup() as calls:
        for _ in range(5):
            calls.create_task(client.say(pb.SayRequest()))
        await asyncio.sleep(0)
        lab.let.set()
    assert (lab.discovered, lab.asked) == (1, [FIRST] * 5)


@pytest.mark.parametrize("error", [UnreachableError(str(FIRST), "gone"), BrokenError("lost")])
async def test_one_that_is_gone_is_not_asked_again(lab: Lab, error: Exception) -> None:
    client = ChatClient(lab.gate)
    lab.error = error
    with pytest.raises(type(error)):
        await client.say(pb.SayRequest())
    lab.error, lab.online = None, [SECOND]
    await client.say(pb.SayRequest())
    assert lab.asked == [FIRST, SECOND]


@pytest.mark.parametrize(
    ("online", "is_signaling_gone", "asked"),
    [([SECOND, FIRST], False, FIRST), ([SECOND], False, SECOND), ([SECOND], True, FIRST)],
    ids=["online", "gone", "nobody can say"],
)
async def test_one_that_was_too_slow_is_asked_again_while_it_is_online(
    lab: Lab, online: list[ActrId], is_signaling_gone: bool, asked: ActrId
) -> None:
    client = ChatClient(lab.gate)
    lab.error = DeadlineError("slow")
    with pytest.raises(DeadlineError):
        await client.say(pb.SayRequest())
    lab.error, lab.online, lab.is_signaling_gone = None, online, is_signaling_gone
    for _ in range(2):
        await client.say(pb.SayRequest())
    assert lab.asked == [FIRST, asked, asked]


async def test_an_error_of_the_handler_keeps_the_choice(lab: Lab) -> None:
    client = ChatClient(lab.gate)
    lab.error = CallError(Code.DEADLINE_EXCEEDED, "slow")
    with pytest.raises(CallError):
        await client.say(pb.SayRequest())
    lab.error, lab.online = None, [SECOND]
    await client.say(pb.SayRequest())
    assert lab.asked == [FIRST, FIRST]


async def test_a_late_error_of_a_former_choice_keeps_the_new_one(lab: Lab) -> None:
    await ChatClient(lab.gate).say(pb.SayRequest())
    lab.gate.forget(SECOND)
    await ChatClient(lab.gate).say(pb.SayRequest())
    assert lab.discovered == 1


async def test_the_own_actor_is_never_chosen(lab: Lab) -> None:
    lab.online = [lab.id, SECOND]
    await ChatClient(lab.gate).say(pb.SayRequest())
    assert lab.asked == [SECOND]


@pytest.mark.parametrize("online", [[], [Lab.id]])
async def test_nobody_of_the_type_is_unreachable(lab: Lab, online: list[ActrId]) -> None:
    lab.online = online
    with pytest.raises(UnreachableError, match="no other actor of this type is online"):
        await ChatClient(lab.gate).say(pb.SayRequest())
    assert lab.asked == []


async def test_choosing_takes_of_the_time_of_its_call(lab: Lab) -> None:
    lab.let.clear()
    client = ChatClient(lab.gate)
    with pytest.raises(DeadlineError, match="no actor of the type acme:room found"):
        await client.say(pb.SayRequest(), timeout=0.01)
    lab.let.set()
    await client.say(pb.SayRequest())
    await client.upload(nothing())
    first, second = lab.timeouts
    assert first is not None
    assert 0 < first <= 7.0
    assert second is None  # a stream has no limit where none is given


async def test_a_timeout_of_signaling_s_own_is_no_deadline_of_the_call(lab: Lab) -> None:
    async def discover(*, limit: int) -> list[Presence]:
        raise TimeoutError

    gate = DiscoveredGate(
        ActrType("acme:room"),
        lab,
        discover=discover,
        lookup=lab.lookup,
        gate=lab.reached,
        scope=ROOT,
    )
    with pytest.raises(TimeoutError):
        await ChatClient(gate).say(pb.SayRequest())


async def test_a_call_with_a_key_needs_one_actor(lab: Lab) -> None:
    with pytest.raises(LocalProtocolError, match="for one actor, also after a restart"):
        await ChatClient(lab.gate).say(pb.SayRequest(), durable="order 7")
    assert lab.discovered == 0
    await ChatClient(lab.gate).say(pb.SayRequest(), durable=True)
