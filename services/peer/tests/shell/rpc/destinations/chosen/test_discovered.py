"""Which actor of a type is asked, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr.services.reflection_actr import ReflectionClient
from actr.services.reflection_pb2 import DescribeRequest
from actr_peer.errors import (
    CallError,
    Code,
    ConfigError,
    DeadlineError,
    LocalProtocolError,
    UnreachableError,
)
from actr_peer.protocol.identity import ActrId, ActrType
from actr_peer.protocol.rpc.doubts import Doubts
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.rpc.destinations.chosen import discovered
from actr_peer.rpc.destinations.chosen.discovered import DiscoveredGate, any_of
from actr_peer.rpc.destinations.scope import ROOT, Scope
from actr_peer.service import CallOptions

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
        self.asks: list[dict[str, Any]] = []
        self.doubts = Doubts()
        self.signaling = self.transport = self
        self.is_ready = self.was_ready = True
        self.gate = DiscoveredGate(ActrType("acme:room"), self, scope=ROOT)

    async def lookup(self, actr_id: ActrId) -> Presence | None:
        if self.is_signaling_gone:
            raise UnreachableError(str(actr_id), "signaling is gone")
        return Presence(id=actr_id) if actr_id in self.online else None

    async def discover(self, actr_type: str = "", **asked: Any) -> list[Presence]:
        assert actr_type == "acme:room"
        self.asks.append(asked)
        self.discovered += 1
        await self.let.wait()
        if self.is_signaling_gone:
            raise UnreachableError(actr_type, "signaling is gone")
        return [
            Presence(id=each, services=(("demo.Chat", ChatService.FINGERPRINT),))
            for each in self.online[: asked["limit"]]
        ]

    def link(self, remote: ActrId) -> Lab:
        return self

    async def ready(self) -> None:
        raise AssertionError("its wires are up")

    def caller_to(self, remote: ActrId, scope: Scope, *, wait_for_ready: bool = True) -> Lab:
        self.asked.append(remote)
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
    asyncio.get_running_loop().call_later(0.01, lab.let.set)
    await client.say(pb.SayRequest())
    await client.upload(nothing())
    first, second = lab.timeouts
    assert first is not None
    assert 0 < first <= 7.0
    assert second is None  # a stream has no limit where none is given


async def test_a_timeout_of_signaling_s_own_is_no_deadline_of_the_call(lab: Lab) -> None:
    async def discover(actr_type: str = "", **asked: Any) -> list[Presence]:
        raise TimeoutError

    lab.discover = discover  # type: ignore[method-assign]
    with pytest.raises(TimeoutError):
        await ChatClient(lab.gate).say(pb.SayRequest())


async def test_a_call_with_a_key_needs_one_actor(lab: Lab) -> None:
    with pytest.raises(LocalProtocolError, match="for one actor, also after a restart"):
        await ChatClient(lab.gate).say(pb.SayRequest(), durable="order 7")
    assert lab.discovered == 0
    await ChatClient(lab.gate).say(pb.SayRequest(), durable=True)


async def test_signaling_is_asked_for_the_contract_and_the_key_of_the_caller(lab: Lab) -> None:
    gate = DiscoveredGate(ActrType("acme:room"), lab, scope=ROOT, key="room 7")
    await ChatClient(gate).say(pb.SayRequest())
    (asked,) = lab.asks
    assert (asked["service"], asked["stickiness"]) == ("demo.Chat", "room 7")
    assert asked["fingerprint"] == ChatService.FINGERPRINT


async def test_where_nobody_has_the_service_one_of_the_type_says_so_itself(lab: Lab) -> None:
    asked_for: list[str] = []

    async def discover(actr_type: str = "", **asked: Any) -> list[Presence]:
        asked_for.append(asked["service"])
        return [] if asked["service"] else [Presence(id=FIRST)]

    lab.discover = discover  # type: ignore[method-assign]
    await ChatClient(lab.gate).say(pb.SayRequest())
    assert (asked_for, lab.asked) == (["demo.Chat", ""], [FIRST])


async def test_a_service_of_the_runtime_is_registered_by_nobody_and_asked_of_all(lab: Lab) -> None:
    replies = ReflectionClient(lab.gate).describe(DescribeRequest())
    assert [each async for each in replies]
    assert [asked["service"] for asked in lab.asks] == [""]


@pytest.mark.parametrize("method", ["say", "history"])
async def test_a_choice_by_a_key_is_looked_at_again(
    lab: Lab, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = DiscoveredGate(ActrType("acme:room"), lab, scope=ROOT, key="room 7")
    call = getattr(ChatClient(gate), method)
    request = pb.SayRequest() if method == "say" else pb.HistoryRequest()
    for _ in range(2):
        await call(request)
    assert lab.discovered == 1
    monkeypatch.setattr(discovered, "FRESH", -1.0)
    lab.online.reverse()
    await call(request)
    assert lab.asked == [FIRST, FIRST, SECOND]


@pytest.mark.parametrize("is_silent", [True, False])
async def test_a_choice_by_a_key_is_kept_while_signaling_is_gone(
    lab: Lab, is_silent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = ChatClient(DiscoveredGate(ActrType("acme:room"), lab, scope=ROOT, key="room 7"))
    await client.say(pb.SayRequest())
    monkeypatch.setattr(discovered, "FRESH", -1.0)
    monkeypatch.setattr(discovered, "LOOKED_AT_WITHIN", 0.01)
    if is_silent:
        lab.let.clear()
    lab.is_signaling_gone = not is_silent
    await client.say(pb.SayRequest())
    assert lab.asked == [FIRST, FIRST]
    assert lab.discovered == 2
    lab.doubts.note(FIRST, asyncio.get_running_loop().time() + 1)
    with pytest.raises((UnreachableError, DeadlineError)):
        await client.say(pb.SayRequest(), timeout=0.05)


async def test_one_call_by_a_key_looks_and_the_others_do_not_wait_for_it(lab: Lab) -> None:
    gate = DiscoveredGate(ActrType("acme:room"), lab, scope=ROOT, key="room 7")
    client = ChatClient(gate)
    await client.say(pb.SayRequest())
    gate._chosen["demo.Chat"].at -= 10 * discovered.FRESH
    lab.let.clear()
    looking = asyncio.create_task(client.say(pb.SayRequest()))
    await asyncio.sleep(0)
    await client.say(pb.SayRequest(), timeout=discovered.LOOKED_AT_WITHIN / 2)
    assert not looking.done()
    assert lab.discovered == 2
    lab.let.set()
    await looking


async def test_a_timeout_of_signaling_s_own_is_no_silence(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = ChatClient(DiscoveredGate(ActrType("acme:room"), lab, scope=ROOT, key="room 7"))
    await client.say(pb.SayRequest())
    monkeypatch.setattr(discovered, "FRESH", -1.0)

    async def fails(actr_type: str = "", **asked: Any) -> list[Presence]:
        raise TimeoutError

    monkeypatch.setattr(lab, "discover", fails)
    with pytest.raises(TimeoutError):
        await client.say(pb.SayRequest())


async def test_a_wire_that_breaks_has_the_next_call_choose_others_first(lab: Lab) -> None:
    client = ChatClient(lab.gate)
    await client.say(pb.SayRequest())
    lab.doubts.note(FIRST, asyncio.get_running_loop().time() + 1)
    for _ in range(2):
        await client.say(pb.SayRequest())
    assert (lab.asked, lab.discovered) == ([FIRST, SECOND, SECOND], 2)


@pytest.mark.parametrize("key", [7, "x" * 257, "\ud800"])
def test_a_key_is_text_that_can_be_sent(lab: Lab, key: Any) -> None:
    with pytest.raises(ConfigError, match="must be text of at most 256 characters"):
        any_of("acme:room", lab, ROOT, key=key)


def test_only_a_type_is_chosen_among(lab: Lab) -> None:
    with pytest.raises(ConfigError, match="is no actor type"):
        any_of(str(FIRST), lab, ROOT)
