"""The demo's caller hears of the room's end and waits for it no longer."""

from __future__ import annotations

import asyncio

import pytest

from actr_peer import ActrId
from actr_peer.cli.demo.visitor import Visitor
from actr_peer.errors import CallError, Code, UnreachableError
from actr_peer.protocol.signaling.presence import Presence, PresenceEvent, Reason

ROOM = ActrId.parse("demo:room@1:default")
OTHER = ActrId.parse("demo:room@2:default")


def left(actor: ActrId, reason: Reason = Reason.CLOSED) -> PresenceEvent:
    return PresenceEvent(PresenceEvent.Kind.LEAVE, Presence(id=actor), reason=reason)


@pytest.fixture
async def visitor() -> Visitor:
    return Visitor(ROOM, ())


async def test_a_block_ends_when_the_room_goes_offline(visitor: Visitor) -> None:
    entered = asyncio.Event()

    async def visit() -> None:
        async with visitor.while_online():
            entered.set()
            await asyncio.Event().wait()

    visiting = asyncio.create_task(visit())
    await entered.wait()
    await visitor.on_presence(left(ROOM))
    with pytest.raises(UnreachableError, match="demo:room@1:default: it went offline"):
        await visiting


async def test_others_that_leave_and_a_session_that_is_replaced_end_nothing(
    visitor: Visitor,
) -> None:
    async with visitor.while_online():
        await visitor.on_presence(left(OTHER))
        await visitor.on_presence(left(ROOM, Reason.REPLACED))
        await asyncio.sleep(0)


async def test_an_error_of_the_block_leaves_it_as_it_is(visitor: Visitor) -> None:
    with pytest.raises(CallError, match="no"):
        async with visitor.while_online():
            raise CallError(Code.ABORTED, "no")
