"""The lanes inside a process: their bound, their order, their end."""

from __future__ import annotations

import asyncio

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatService
from actr_peer.errors import ClosedError
from actr_peer.protocol.payload import PayloadType
from actr_peer.transport.lane import Lane
from actr_peer.transport.local.calls import CAPACITY, LocalCall, LocalEnd


def call_of(method: object = ChatService.SAY) -> LocalCall:
    future = asyncio.get_running_loop().create_future()
    return LocalCall(method, pb.SayRequest(), future)  # type: ignore[arg-type]


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def send(end: LocalEnd, call: LocalCall) -> None:
    await end.lane(call.method.payload_type).send(call)


async def fill(end: LocalEnd) -> list[LocalCall]:
    calls = [call_of() for _ in range(CAPACITY)]
    for call in calls:
        await send(end, call)
    return calls


async def test_a_call_that_was_taken_keeps_its_place_until_it_has_ended() -> None:
    end = LocalEnd()
    calls = await fill(end)
    more = asyncio.ensure_future(send(end, call_of()))
    assert await end.receive() is calls[0]
    await turns()
    assert not more.done()
    end.ended(calls[0])
    end.ended(calls[0])
    await more
    another = asyncio.ensure_future(send(end, call_of()))
    await turns()
    assert not another.done(), "one place was given back once"
    another.cancel()


async def test_who_waits_for_a_place_gets_it_in_order() -> None:
    end = LocalEnd()
    calls = await fill(end)
    waiting = [asyncio.ensure_future(send(end, call_of())) for _ in range(3)]
    await turns()
    for call in calls[:2]:
        end.ended(call)
    await turns()
    assert [sending.done() for sending in waiting] == [True, True, False]
    waiting[2].cancel()


async def test_a_call_that_nobody_waits_for_keeps_its_place_until_its_turn() -> None:
    end = LocalEnd()
    calls = await fill(end)
    for call in calls:
        call.future.cancel()
    more = asyncio.ensure_future(send(end, call_of()))
    await turns()
    assert not more.done()
    more.cancel()


async def test_closing_fails_what_waits_for_a_place_what_waits_and_what_runs() -> None:
    end = LocalEnd()
    calls = await fill(end)
    sending = [asyncio.ensure_future(send(end, call_of())) for _ in range(5)]
    running = await end.receive()
    end.close(ClosedError("the actor is closed"))
    outcomes = await asyncio.gather(*sending, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ClosedError] * 5
    assert {type(call.future.exception()) for call in calls} == {ClosedError}
    end.ended(running)
    with pytest.raises(ClosedError):
        await send(end, call_of())


async def test_a_signal_is_received_before_what_came_before_it() -> None:
    end = LocalEnd()
    first, urgent = call_of(), call_of(ChatService.KICK)
    await send(end, first)
    await send(end, urgent)
    assert await end.receive() is urgent
    assert await end.receive() is first


async def test_each_payload_type_has_a_lane_and_signals_one_of_their_own() -> None:
    end = LocalEnd()
    lanes = {payload_type: end.lane(payload_type) for payload_type in PayloadType}
    signal = lanes.pop(PayloadType.RPC_SIGNAL)
    assert signal.payload_type is PayloadType.RPC_SIGNAL
    assert set(lanes.values()) == {lanes[PayloadType.RPC_RELIABLE]}
    assert lanes[PayloadType.RPC_RELIABLE].payload_type is PayloadType.RPC_RELIABLE


async def test_the_very_object_arrives_on_every_lane() -> None:
    end = LocalEnd()
    for payload_type in PayloadType:
        lane: Lane[LocalCall] = end.lane(payload_type)
        call = call_of()
        await lane.send(call)
        assert await end.receive() is call
