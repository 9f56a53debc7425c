"""Calls that are measured: each once, as its caller hears of its end, and as it was else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actr.demo.chat_actr import ChatClient, ChatService
from actr.demo.chat_pb2 import FilePiece, PresenceRequest, SayReply, SayRequest, UploadReply
from actr_peer.actor.context import LATER, Context
from actr_peer.actor.turn import Deferred, Outcome, Stopped
from actr_peer.errors import (
    BrokenError,
    CallError,
    ClosedError,
    Code,
    DeadlineError,
    LimitError,
    UnreachableError,
)
from actr_peer.node.observe.metered import Meter, MeteredGate
from actr_peer.rpc.local import LocalGate
from actr_peer.service import Caller

SAY, PRESENCE = ChatService.SAY, ChatService.PRESENCE


def found(meter: Meter) -> dict[tuple[str, str, str], int]:
    return {(c.side, c.method.rpartition(".")[2], c.code): c.durations.count for c in meter.calls()}


def context(*, remaining: float | None = None, turn: object = None) -> Context:
    return cast(Context, SimpleNamespace(_turn=turn, remaining=lambda: remaining))


def turn(*, waited: float | None = None, stopped: Stopped | None = None) -> SimpleNamespace:
    came_at = None if waited is None else 10.0 - waited
    request = SimpleNamespace(arrived_at=came_at)
    return SimpleNamespace(request=request, now=lambda: 10.0, deferred=None, stopped=stopped)


STOPPED = context(turn=turn(stopped=Stopped.CALLER))
LATE = context(turn=turn(stopped=Stopped.TIMEOUT))


def measured(meter: Meter, handler: Callable[..., Any], method: Any = SAY) -> Callable[..., Any]:
    return meter.around(lambda _, inner: inner)(method, handler)


def raising(error: BaseException) -> Callable[..., Any]:
    async def handler(request: object, ctx: object) -> None:
        raise error

    return handler


async def test_a_handler_is_measured_and_its_reply_left_as_it_is() -> None:
    meter, reply = Meter(), SayReply(number=7)

    async def handler(request: object, ctx: object) -> SayReply:
        return reply

    assert await measured(meter, handler)(SayRequest(), context(turn=turn(waited=0.5))) is reply
    assert found(meter) == {("server", "Say", "OK"): 1}
    assert (meter.waits.view().count, meter.waits.view().seconds) == (1, 0.5)


async def test_of_a_request_that_waited_through_a_restart_nobody_knows_how_long() -> None:
    meter = Meter()

    async def handler(request: object, ctx: object) -> SayReply:
        return SayReply()

    await measured(meter, handler)(SayRequest(), context(turn=turn()))
    assert meter.waits.view().count == 0


@pytest.mark.parametrize(
    ("error", "ctx", "code"),
    [
        (CallError(Code.NOT_FOUND, "no"), context(), "NOT_FOUND"),
        (ValueError("a bug"), context(), "INTERNAL"),
        (UnreachableError("who", "of a call that it made"), context(), "INTERNAL"),
        (TimeoutError(), context(), "DEADLINE_EXCEEDED"),
        (DeadlineError("late"), context(), "DEADLINE_EXCEEDED"),
        (asyncio.CancelledError(), context(), "CANCELLED"),
        (asyncio.CancelledError(), context(remaining=1.0), "CANCELLED"),
        (asyncio.CancelledError(), context(remaining=0.0), "DEADLINE_EXCEEDED"),
        (asyncio.CancelledError(), STOPPED, "CANCELLED"),
        (asyncio.CancelledError(), LATE, "DEADLINE_EXCEEDED"),
    ],
)
async def test_a_handler_that_raises_is_counted_as_its_caller_is_told(
    error: BaseException, ctx: Context, code: str
) -> None:
    meter = Meter()
    with pytest.raises(type(error)):
        await measured(meter, raising(error))(SayRequest(), ctx)
    assert found(meter) == {("server", "Say", code): 1}


@pytest.mark.parametrize(
    ("outcome", "stopped", "code"),
    [
        (Outcome(b"reply"), None, "OK"),
        (Outcome(b"error", code=Code.ABORTED), None, "ABORTED"),
        (Outcome(failed=True), Stopped.CALLER, "CANCELLED"),
        (Outcome(failed=True), Stopped.TIMEOUT, "DEADLINE_EXCEEDED"),
    ],
)
@pytest.mark.parametrize("is_early", [True, False])
async def test_a_reply_that_is_put_off_ends_its_call(
    outcome: Outcome, stopped: Stopped | None, code: str, is_early: bool
) -> None:
    meter, on = Meter(), turn(waited=0.0, stopped=stopped)
    on.state = None  # it is none that waits for this reply
    deferred = on.deferred = Deferred(on, cast(Any, None))

    async def handler(request: object, ctx: object) -> object:
        if is_early:
            deferred.finish(outcome)
        return LATER

    assert await measured(meter, handler)(SayRequest(), context(turn=on)) is LATER
    if not is_early:
        assert found(meter) == {}
        deferred.finish(outcome)
        deferred.finish(Outcome(b"void"))
    assert found(meter) == {("server", "Say", code): 1}


class Items:
    """What a handler of a stream gives."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.is_closed = False
        self._error = error

    async def __call__(self, request: object, ctx: object) -> AsyncIterator[int]:
        try:
            yield 1
            if self._error is not None:
                raise self._error
            yield 2
        finally:
            self.is_closed = True


async def test_a_stream_is_measured_to_its_end() -> None:
    meter, items = Meter(), Items()
    given = measured(meter, items, PRESENCE)(PresenceRequest(), context())
    assert [item async for item in given] == [1, 2]
    assert found(meter) == {("server", "Presence", "OK"): 1}
    assert items.is_closed


async def test_a_stream_that_fails_has_its_code() -> None:
    meter, items = Meter(), Items(CallError(Code.ABORTED, "no"))
    given = measured(meter, items, PRESENCE)(PresenceRequest(), context())
    with pytest.raises(CallError, match="no"):
        [item async for item in given]
    assert found(meter) == {("server", "Presence", "ABORTED"): 1}


async def test_a_stream_that_is_left_early_ends_its_handler_at_once() -> None:
    meter, items = Meter(), Items()
    given = measured(meter, items, PRESENCE)(PresenceRequest(), context())
    assert await anext(given) == 1
    await given.aclose()
    assert items.is_closed
    assert found(meter) == {("server", "Presence", "CANCELLED"): 1}


class Gate:
    """A caller that answers, or fails as it is told."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.is_closed = False

    async def unary(self, method: object, request: object, options: object) -> object:
        if self.error is not None:
            raise self.error
        return SayReply(number=7)

    tell = unary

    async def client_stream(self, method: object, requests: object, options: object) -> object:
        if self.error is not None:
            raise self.error
        return UploadReply()

    async def server_stream(
        self, method: object, request: object, options: object
    ) -> AsyncIterator[object]:
        try:
            yield SayReply()
            if self.error is not None:
                raise self.error
        finally:
            self.is_closed = True

    bidi_stream = server_stream


def client(meter: Meter, gate: Gate) -> ChatClient:
    return ChatClient(meter.caller(cast(Caller, gate)))


async def nothing() -> AsyncIterator[FilePiece]:
    for piece in ():
        yield piece


async def every_kind(gate: Gate, meter: Meter) -> None:
    """A call of each kind; what it raises is the caller's."""
    room = client(meter, gate)
    outer = meter.caller(cast(Caller, gate))
    options: Any = None
    for call in (
        lambda: room.say(SayRequest()),
        lambda: outer.tell(ChatService.KICK, cast(Any, None), options),
        lambda: room.upload(nothing()),
    ):
        try:
            await call()
        except type(gate.error or ValueError):
            assert gate.error is not None
    for replies in (room.presence(PresenceRequest()), room.cursors(cast(Any, nothing()))):
        try:
            async for _ in replies:
                pass
        except type(gate.error or ValueError):
            assert gate.error is not None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, "OK"),
        (CallError(Code.NOT_FOUND, "no"), "NOT_FOUND"),
        (DeadlineError("late"), "DEADLINE_EXCEEDED"),
        (UnreachableError("who", "gone"), "UNAVAILABLE"),
        (ClosedError("this side"), "UNAVAILABLE"),
        (BrokenError("it may have run"), "UNKNOWN"),
        (LimitError("bytes", limit=1, asked=2), "RESOURCE_EXHAUSTED"),
        (RuntimeError("a bug"), "INTERNAL"),
        (asyncio.CancelledError(), "CANCELLED"),
    ],
)
async def test_calls_of_every_kind_are_measured_at_their_caller(
    error: BaseException | None, code: str
) -> None:
    meter = Meter()
    await every_kind(Gate(error), meter)
    assert found(meter) == {
        ("client", method, code): 1 for method in ("Say", "Kick", "Upload", "Presence", "Cursors")
    }


async def test_replies_that_are_left_early_end_the_call_at_once() -> None:
    meter, gate = Meter(), Gate()
    replies: Any = client(meter, gate).presence(PresenceRequest())
    await anext(replies)
    await replies.aclose()
    assert gate.is_closed
    assert found(meter) == {("client", "Presence", "CANCELLED"): 1}


def test_a_call_inside_the_process_is_measured_by_its_handler_alone() -> None:
    gate = LocalGate(cast(Any, None), cast(Any, None))
    assert Meter().caller(gate) is gate
    assert isinstance(Meter().caller(cast(Caller, Gate())), MeteredGate)
