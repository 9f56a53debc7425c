"""However a connection ends, nobody waits for ever, nothing stays open, and nothing else ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from actr_peer.errors import BrokenError, PeerError, UnreachableError
from actr_peer.protocol.identity.certificates import read_certificate
from actr_peer.protocol.webrtc.negotiation import (
    Answer,
    NegotiateMessage,
    Offer,
    RequestCause,
    RequestOffer,
)
from actr_peer.wire.base import Wire
from actr_peer.wire.webrtc import wires
from actr_peer.wire.webrtc.wires import WebRtcWires
from peer_kit.fakes import ALICE, BOB, CAROL, Recorder, turns
from peer_kit.vectors.identities import Issuer, key_of
from peer_kit.webrtc.sides import Engine, Side


@asynccontextmanager
async def side() -> AsyncIterator[Side]:
    made = Side()
    async with (
        asyncio.timeout(60),
        WebRtcWires(
            self_id=ALICE,
            relay=made.relay,
            ice_servers=tuple,
            on_wire=lambda wire: made.on_wire(wire),
            make_engine=made.make,  # type: ignore[arg-type]
        ) as made.wires,
    ):
        yield made


async def test_a_dial_that_is_cancelled_as_it_opens_leaves_nothing_open() -> None:
    async with side() as here:
        dial = asyncio.get_running_loop().create_task(here.wires.dial(BOB))
        await turns()
        here.engines[0].sink.opened()
        dial.cancel()
        await asyncio.wait([dial])
        await turns()
        assert dial.cancelled()
        assert here.wires.wires() == []
        assert here.engines[0].closed


async def test_the_first_description_says_whose_a_wire_is() -> None:
    first, later = (
        read_certificate(Issuer().issue(BOB, key_of(name)).encode()) for name in ("bob", "other")
    )
    async with side() as here:
        dial = asyncio.get_running_loop().create_task(here.wires.dial(BOB))
        await turns()
        (wire,) = here.wires.wires()
        assert wire.certificate is None
        answer = NegotiateMessage(wire.connection_id, 1, Answer("v=0\r\n"))
        for certificate in (first, later, None):
            here.wires.receive(BOB, answer, certificate)
            assert wire.certificate is first
        dial.cancel()
        await asyncio.wait([dial])


async def test_a_failure_in_negotiation_ends_its_connection_and_no_other() -> None:
    async with side() as here:
        other = await here.open(CAROL)

        def break_it(engine: Engine) -> None:
            engine.failure = RuntimeError("a bug")

        here.prepare = break_it
        with pytest.raises(UnreachableError, match="failure on this side"):
            await here.wires.dial(BOB)
        assert here.wires.wires() == [other]
        other.send(0, b"x")


async def test_a_failure_while_an_open_connection_negotiates_is_told_to_its_sink() -> None:
    async with side() as here:
        wire = await here.open()
        sink = Recorder()
        wire.attach(sink)
        here.engines[0].failure = KeyError("mid")
        wire.receive(NegotiateMessage(wire.connection_id, 1, Answer("v=0\r\n")))
        await sink.gone.wait()
        assert isinstance(sink.ends[0], BrokenError)
        await wire.close()


async def test_an_engine_that_fails_to_close_is_gone_all_the_same() -> None:
    async with side() as here:
        wire = await here.open()
        sink = Recorder()
        wire.attach(sink)
        here.engines[0].failure = RuntimeError("a bug")
        await wire.close()
        assert sink.ends == [None]


@pytest.mark.parametrize("is_graceful", [True, False])
async def test_leaving_with_a_failure_frees_all_that_there_is(is_graceful: bool) -> None:
    here: Side
    dials: list[asyncio.Future[Any]] = []

    async def fail() -> None:
        nonlocal here
        async with side() as here:
            open_wire = await here.open()
            dials.append(asyncio.gather(here.wires.dial(CAROL), return_exceptions=True))
            await turns()
            if not is_graceful:
                open_wire.abort()
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await fail()
    assert [engine.closed for engine in here.engines] == [True, True]
    assert isinstance((await dials[0])[0], PeerError)


async def test_an_end_that_is_cancelled_before_its_first_step_holds_up_nobody() -> None:
    async with side() as here:
        wire = await here.open()
        wire.abort()
        for task in asyncio.all_tasks():
            if "webrtc-ends" in task.get_name() or "/end" in task.get_name():
                task.cancel()
        await wire.close()


async def test_an_owner_that_fails_to_take_a_wire_loses_that_wire() -> None:
    async with side() as here:

        def refuse(wire: Wire) -> None:
            raise RuntimeError("a bug")

        here.on_wire = refuse
        here.wires._requested(BOB)
        await turns()
        here.engines[0].sink.opened()
        await turns()
        assert here.engines[0].closed
        assert here.wires.wires() == []


async def test_a_sink_that_fails_where_it_may_send_again_ends_its_wire_alone() -> None:
    async with side() as here:
        wire = await here.open()

        class Failing(Recorder):
            def writable(self, wire: Wire) -> None:
                raise RuntimeError("a bug")

        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        sink = Failing()
        wire.attach(sink)
        here.engines[0].sink.writable()
        assert len(sink.ends) == 1


async def test_an_engine_that_cannot_be_made_is_no_connection_and_nothing_else() -> None:
    async with side() as here:

        def fail(engine: Engine) -> None:
            raise RuntimeError("a bug")

        here.prepare = fail
        here.wires._requested(BOB)
        assert here.wires.wires() == []


REQUEST = NegotiateMessage("", 0, RequestOffer(RequestCause.CONNECT))
MALLORY = replace(BOB, instance="mallory")


async def test_strangers_who_want_connections_do_not_end_a_dial_of_ours() -> None:
    async with side() as here:
        dial = asyncio.gather(here.wires.dial(BOB))
        await turns()
        for number in range(2 * wires.MAX_CONNECTING):
            here.wires.receive(replace(BOB, instance=f"stranger{number}"), REQUEST)
        assert len(here.wires.wires()) <= wires.MAX_CONNECTING + 1
        here.engines[0].sink.opened()
        assert (await dial)[0].remote == BOB


async def test_requests_that_wait_for_an_answer_are_one() -> None:
    async with side() as here:
        here.wires.receive(MALLORY, REQUEST)
        await turns()
        for _ in range(1000):
            here.wires.receive(MALLORY, REQUEST)
        await turns()
        assert len(here.engines) == 1
        assert len(here.said) == 2, "the offer, and the offer again"
        here.wires.receive(MALLORY, REQUEST)
        await turns()
        assert len(here.said) == 3


async def test_one_remote_does_not_get_connections_without_end() -> None:
    now = 0.0
    async with side() as here:
        here.wires._clock = lambda: now
        zed = replace(ALICE, instance="aaron")  # who offers
        for number in range(1000):
            here.wires.receive(zed, NegotiateMessage(f"c{number}", 1, Offer("v=0\r\n")))
        assert len(here.engines) == wires.NEW_AT_ONCE
        assert here.wires.dropped == 1000 - wires.NEW_AT_ONCE
        here.wires.receive(BOB, REQUEST)
        assert len(here.engines) == wires.NEW_AT_ONCE + 1, "another's are not its"
        now = 1.0
        for number in range(1000):
            here.wires.receive(zed, NegotiateMessage(f"d{number}", 1, Offer("v=0\r\n")))
        assert len(here.engines) == wires.NEW_AT_ONCE + 1 + wires.NEW_A_SECOND
