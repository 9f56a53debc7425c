"""What becomes of a call to a type whose actor is lost: another one, or the truth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer.errors import (
    BrokenError,
    CallError,
    ClosedError,
    Code,
    DeadlineError,
    LimitError,
    MayHaveRunError,
    PeerError,
    UnreachableError,
)
from actr_peer.protocol.identity import ActrId, ActrType
from actr_peer.protocol.rpc.call_errors import closing
from actr_peer.protocol.rpc.doubts import Doubts
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.rpc.destinations.chosen import attempts
from actr_peer.rpc.destinations.chosen.discovered import DiscoveredGate
from actr_peer.rpc.destinations.contracts import DiffersError
from actr_peer.rpc.destinations.scope import ROOT, Scope
from actr_peer.service import CallOptions

LOST, GONE = BrokenError("lost"), UnreachableError("acme:room@1:default", "nobody is there")
DIFFERS = DiffersError(Code.FAILED_PRECONDITION, "another contract")


class Actor:
    """One actor of the type: its link, and what it does with calls."""

    def __init__(self, lab: Lab, number: int) -> None:
        self.id = ActrId("acme", "room", str(number))
        self.sent = 0
        self.calls = 0
        """That came to it."""
        self.lab = lab
        self.is_ready = True
        self.was_ready = True
        self.unreached: PeerError | None = None
        self.coming = asyncio.Event()
        self.error: PeerError | None = None
        self.sends = 1
        self.items_before = 0
        self.holds = False
        self.called = asyncio.Event()

    async def ready(self) -> None:
        if self.unreached is not None:
            raise self.unreached
        if not self.was_ready:
            await self.coming.wait()

    async def unary(self, method: Any, request: Any, options: CallOptions) -> Any:
        self.calls += 1
        self.called.set()
        self.sent += self.sends
        if self.holds:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return pb.SayReply(number=int(self.id.instance)) if method is SAY else pb.HistoryReply()

    async def tell(self, method: Any, request: Any, options: CallOptions) -> None:
        await self.unary(method, request, options)

    async def client_stream(
        self, method: Any, requests: AsyncIterable[Any], options: CallOptions
    ) -> Any:
        self.calls += 1
        self.called.set()
        self.sent += self.sends
        for _ in range(self.items_before):
            await anext(aiter(requests))
        if self.error is not None:
            raise self.error
        return pb.UploadReply(size_bytes=len([each async for each in requests]))

    async def server_stream(
        self, method: Any, request: Any, options: CallOptions
    ) -> AsyncIterator[Any]:
        self.calls += 1
        self.called.set()
        self.sent += self.sends
        for _ in range(self.items_before):
            yield pb.PresenceChange(who=self.id.instance)
        if self.holds:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        yield pb.PresenceChange(who=self.id.instance)

    async def bidi_stream(
        self, method: Any, requests: AsyncIterable[Any], options: CallOptions
    ) -> AsyncIterator[Any]:
        self.calls += 1
        self.called.set()
        self.sent += self.sends
        for _ in range(self.items_before):
            await anext(aiter(requests))
        if self.error is not None:
            raise self.error
        async for each in requests:
            yield each


SAY = ChatService.SAY
UPLOAD_TWICE = replace(ChatService.UPLOAD, is_idempotent=True)


class Lab:
    """Three actors, and who calls one of them."""

    id = ActrId("acme", "caller", "1")
    call_timeout = 7.0

    def __init__(self) -> None:
        self.doubts = Doubts()
        self.signaling = self.transport = self
        self.actors = [Actor(self, number) for number in (1, 2, 3)]
        self.gate = DiscoveredGate(ActrType("acme:room"), self, scope=ROOT)
        self.client = ChatClient(self.gate)

    @property
    def calls(self) -> list[int]:
        return [actor.calls for actor in self.actors]

    async def discover(self, actr_type: str = "", **asked: Any) -> list[Presence]:
        services = (("demo.Chat", ChatService.FINGERPRINT),)
        return [Presence(id=actor.id, services=services) for actor in self.actors]

    async def lookup(self, actr_id: ActrId) -> Presence | None:
        return Presence(id=actr_id)

    def link(self, remote: ActrId) -> Actor:
        return next(actor for actor in self.actors if actor.id == remote)

    def caller_to(self, remote: ActrId, scope: Scope, *, wait_for_ready: bool = True) -> Actor:
        actor = self.link(remote)
        actor.sent = 0
        return actor


@pytest.fixture
async def lab() -> Lab:
    return Lab()


async def moves() -> AsyncIterator[pb.CursorMove]:
    for number in range(3):
        yield pb.CursorMove(x=number)


async def pieces() -> AsyncIterator[pb.FilePiece]:
    for _ in range(3):
        yield pb.FilePiece()


async def say(lab: Lab) -> Any:
    return await lab.client.say(pb.SayRequest())


async def history(lab: Lab) -> Any:
    return await lab.client.history(pb.HistoryRequest())


async def tell(lab: Lab) -> Any:
    return await lab.client.tell(SAY, pb.SayRequest())


async def upload(lab: Lab) -> Any:
    assert (await lab.client.upload(pieces())).size_bytes == 3


async def presence(lab: Lab) -> Any:
    return [each async for each in lab.client.presence(pb.PresenceRequest())]


async def messages(lab: Lab) -> Any:
    return [each async for each in lab.client.messages(pb.MessagesRequest())]


async def cursors(lab: Lab) -> Any:
    assert len([each async for each in lab.client.cursors(moves())]) == 3


ALL = [say, history, tell, upload, presence, messages, cursors]


@pytest.mark.parametrize("call", ALL)
@pytest.mark.parametrize("error", [LOST, GONE, ClosedError("idle")], ids=lambda each: str(each))
async def test_what_never_left_goes_to_another_actor(
    lab: Lab, call: Callable[[Lab], Any], error: PeerError
) -> None:
    first = lab.actors[0]
    first.sends, first.error = 0, error
    await call(lab)
    assert lab.calls == [1, 1, 0]
    await call(lab)
    assert lab.calls == [1, 2, 0]


@pytest.mark.parametrize("call", ALL)
async def test_one_that_closes_and_has_begun_nothing_is_asked_after_all_others(
    lab: Lab, call: Callable[[Lab], Any]
) -> None:
    lab.actors[0].error = closing()
    await call(lab)
    await call(lab)
    assert lab.calls == [1, 2, 0]
    assert lab.doubts.holds(lab.actors[0].id, asyncio.get_running_loop().time())


@pytest.mark.parametrize("call", [presence, messages, upload, cursors])
async def test_one_that_closes_after_it_has_begun_is_the_answer(
    lab: Lab, call: Callable[[Lab], Any]
) -> None:
    lab.actors[0].error, lab.actors[0].items_before = closing(), 1
    with pytest.raises(CallError, match="the actor is closing"):
        await call(lab)
    assert lab.calls == [1, 0, 0]


@pytest.mark.parametrize("call", ALL)
async def test_an_actor_that_cannot_be_reached_is_passed_over(
    lab: Lab, call: Callable[[Lab], Any]
) -> None:
    first = lab.actors[0]
    first.is_ready = first.was_ready = False
    first.unreached = GONE
    await call(lab)
    await call(lab)
    assert lab.calls == [0, 2, 0]


@pytest.mark.parametrize("call", [say, upload, messages, cursors])
@pytest.mark.parametrize("error", [LOST, GONE], ids=lambda each: str(each))
async def test_what_may_have_run_is_told_and_not_tried_again(
    lab: Lab, call: Callable[[Lab], Any], error: PeerError
) -> None:
    lab.actors[0].error = error
    with pytest.raises(MayHaveRunError, match="may have run at acme:room@1") as told:
        await call(lab)
    assert told.value.__cause__ is error
    assert (told.value.remote, told.value.why) == ("acme:room@1:default", str(error))
    assert lab.calls == [1, 0, 0]
    await call(lab)
    assert lab.calls == [1, 1, 0]


@pytest.mark.parametrize("call", [history, presence])
async def test_what_may_run_twice_goes_to_another_actor(
    lab: Lab, call: Callable[[Lab], Any]
) -> None:
    lab.actors[0].error, lab.actors[1].error = LOST, GONE
    await call(lab)
    assert lab.calls == [1, 1, 1]


@pytest.mark.parametrize("call", [presence, messages, upload, cursors])
async def test_a_stream_that_has_begun_stays_where_it_is(
    lab: Lab, call: Callable[[Lab], Any]
) -> None:
    lab.actors[0].error, lab.actors[0].items_before = LOST, 1
    with pytest.raises(BrokenError) as told:
        await call(lab)
    assert told.value is LOST
    assert lab.calls == [1, 0, 0]


async def test_requests_that_were_asked_for_are_not_passed_off_as_none_at_another_actor(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def held() -> AsyncIterator[pb.FilePiece]:
        await asyncio.Event().wait()
        yield pb.FilePiece()

    async def lost_meanwhile(method: Any, requests: Any, options: CallOptions) -> Any:
        lab.actors[0].sent += 1
        feeder = asyncio.ensure_future(anext(requests))
        await asyncio.wait({feeder}, timeout=0)
        feeder.cancel()
        await asyncio.wait({feeder})
        raise LOST

    monkeypatch.setattr(lab.actors[0], "client_stream", lost_meanwhile)
    with pytest.raises(BrokenError) as told:
        await lab.gate.client_stream(UPLOAD_TWICE, held(), CallOptions())
    assert told.value is LOST
    assert lab.calls == [0, 0, 0]


async def test_an_error_of_the_requests_own_is_no_loss_of_the_actor(lab: Lab) -> None:
    async def failing() -> AsyncIterator[pb.FilePiece]:
        raise GONE
        yield

    with pytest.raises(UnreachableError) as told:
        await lab.gate.client_stream(UPLOAD_TWICE, failing(), CallOptions())
    assert told.value is GONE
    assert lab.calls == [1, 0, 0]


@pytest.mark.parametrize("call", [say, history, tell])
@pytest.mark.parametrize(
    "error",
    [
        CallError(Code.UNAVAILABLE, "busy", retryable=True),
        DeadlineError("slow"),
        LimitError("bytes", limit=1, asked=2),
        ClosedError("this side is closed"),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_an_answer_is_an_answer(
    lab: Lab, call: Callable[[Lab], Any], error: PeerError
) -> None:
    lab.actors[0].error = error
    with pytest.raises(type(error)) as told:
        await call(lab)
    assert told.value is error
    assert lab.calls == [1, 0, 0]


async def test_an_error_that_is_not_the_runtime_s_is_passed_on(lab: Lab) -> None:
    lab.actors[0].error = ValueError("a bug")  # type: ignore[assignment]
    with pytest.raises(ValueError, match="a bug"):
        await say(lab)
    assert lab.calls == [1, 0, 0]


async def test_one_whose_contract_differs_is_not_taken_while_another_is_there(lab: Lab) -> None:
    lab.actors[0].error = DIFFERS
    assert (await say(lab)).number == 2
    assert len(lab.doubts) == 0
    for actor in lab.actors:
        actor.error = DIFFERS
    with pytest.raises(DiffersError):
        await say(lab)
    assert lab.calls == [2, 2, 1]


async def test_a_contract_that_is_refused_behind_another_try_is_an_answer(lab: Lab) -> None:
    lab.actors[0].error, lab.actors[0].sends = DIFFERS, 2
    with pytest.raises(DiffersError):
        await say(lab)
    assert lab.calls == [1, 0, 0]


async def test_a_link_that_is_being_mended_is_no_reason_to_wait(lab: Lab) -> None:
    lab.actors[0].is_ready = False
    assert (await say(lab)).number == 2


async def test_where_nobody_else_is_left_a_call_waits_for_the_link_that_is_being_mended(
    lab: Lab,
) -> None:
    for actor in lab.actors:
        actor.is_ready = False
    assert (await say(lab)).number == 1
    assert lab.calls == [1, 0, 0]


async def test_who_does_not_wait_hears_at_once_that_links_are_being_mended(lab: Lab) -> None:
    gate = DiscoveredGate(ActrType("acme:room"), lab, scope=ROOT, waits=False)
    for actor in lab.actors:
        actor.is_ready, actor.sends = False, 0
        actor.error = CallError(Code.UNAVAILABLE, "the link is being mended", retryable=True)
    with pytest.raises(CallError, match="being mended"):
        await ChatClient(gate).say(pb.SayRequest())
    assert lab.calls == [1, 1, 1]


async def test_an_actor_that_takes_long_to_reach_is_asked_when_nobody_else_is_left(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "REACHED_WITHIN", 0.01)
    first, second, third = lab.actors
    for actor in lab.actors:
        actor.is_ready = actor.was_ready = False
    second.unreached = third.unreached = GONE
    asyncio.get_running_loop().call_later(0.05, first.coming.set)
    assert (await say(lab)).number == 1


async def test_one_that_was_put_aside_may_be_gone_meanwhile(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "REACHED_WITHIN", 0.01)
    first, second, third = lab.actors
    for actor in lab.actors:
        actor.is_ready = actor.was_ready = False
    second.unreached = GONE

    async def ready() -> None:
        first.unreached = GONE
        raise GONE

    third.ready = ready  # type: ignore[method-assign]
    with pytest.raises(UnreachableError, match="3 actors of this type were tried; the last: "):
        await say(lab)


async def test_the_time_of_a_call_holds_for_all_its_tries(lab: Lab) -> None:
    for actor in lab.actors:
        actor.is_ready = actor.was_ready = False
    lab.actors[0].unreached = GONE
    with pytest.raises(DeadlineError, match="of the last that was tried: cannot reach"):
        await lab.client.say(pb.SayRequest(), timeout=0.05)


async def test_a_timeout_of_the_link_s_own_is_no_deadline(lab: Lab) -> None:
    for actor in lab.actors:
        actor.is_ready = actor.was_ready = False
    lab.actors[0].unreached = TimeoutError()  # type: ignore[assignment]
    with pytest.raises(TimeoutError):
        await say(lab)


@pytest.mark.parametrize("call", [history, presence])
async def test_who_may_run_twice_is_not_waited_for_where_no_wire_is_left(
    lab: Lab, call: Callable[[Lab], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "LOOK_EVERY", 0.01)
    first = lab.actors[0]
    first.holds = True
    asking = asyncio.create_task(call(lab))
    await first.called.wait()
    first.is_ready = False
    await asking
    assert lab.calls == [1, 1, 0]


@pytest.mark.parametrize("call", [history, presence])
async def test_the_only_one_is_asked_again_where_no_wire_works_for_a_while(
    lab: Lab, call: Callable[[Lab], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "LOOK_EVERY", 0.001)
    del lab.actors[1:]
    first = lab.actors[0]
    first.holds = True
    asking = asyncio.create_task(call(lab))
    await first.called.wait()
    first.called.clear()
    first.is_ready = False
    await asyncio.wait_for(first.called.wait(), 10)
    done, _ = await asyncio.wait({asking}, timeout=0.05)
    asking.cancel()
    assert not done
    assert lab.calls == [2]


async def test_the_only_one_that_is_gone_at_last_is_told_as_one(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "LOOK_EVERY", 0.001)
    del lab.actors[1:]
    first = lab.actors[0]
    first.holds, first.unreached = True, GONE
    asking = asyncio.create_task(history(lab))
    await first.called.wait()
    first.is_ready = False
    with pytest.raises(UnreachableError) as told:
        await asking
    assert told.value is GONE


async def test_who_does_not_wait_hears_that_no_wire_to_the_only_one_works(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "LOOK_EVERY", 0.001)
    lab.gate.waits = False
    del lab.actors[1:]
    first = lab.actors[0]
    first.holds = True
    asking = asyncio.create_task(history(lab))
    await first.called.wait()
    first.is_ready = False
    with pytest.raises(BrokenError, match="no wire to acme:room@1:default works any more"):
        await asking
    assert lab.calls == [1]


async def test_who_must_not_run_twice_is_waited_for(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "LOOK_EVERY", 0.001)
    first = lab.actors[0]
    first.holds = True
    asking = asyncio.create_task(say(lab))
    await first.called.wait()
    first.is_ready = False
    done, _ = await asyncio.wait({asking}, timeout=0.05)
    asking.cancel()
    assert not done
    assert lab.calls == [1, 0, 0]


async def test_a_timeout_of_the_call_s_own_is_not_silence(lab: Lab) -> None:
    lab.actors[0].error = TimeoutError()  # type: ignore[assignment]
    with pytest.raises(TimeoutError):
        await history(lab)


async def test_a_durable_call_is_kept_for_the_actor_that_was_chosen(lab: Lab) -> None:
    first = lab.actors[0]
    first.is_ready, first.sends, first.error = False, 0, BrokenError("lost")
    with pytest.raises(BrokenError) as told:
        await lab.client.history(pb.HistoryRequest(), durable=True)
    assert type(told.value) is BrokenError
    assert lab.calls == [1, 0, 0]


async def test_a_stream_that_is_left_early_is_closed_at_its_actor(lab: Lab) -> None:
    replies = lab.client.presence(pb.PresenceRequest())
    async with aclosing(replies):  # type: ignore[type-var]
        assert (await anext(replies)).who == "1"
    assert lab.calls == [1, 0, 0]


async def test_an_empty_stream_is_an_answer(lab: Lab) -> None:
    async def nothing() -> AsyncIterator[pb.CursorMove]:
        return
        yield

    assert [each async for each in lab.client.cursors(nothing())] == []
    assert lab.calls == [1, 0, 0]
