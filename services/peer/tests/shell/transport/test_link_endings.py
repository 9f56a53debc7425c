"""How links, and calls by them, end: each by itself, once, and with nothing lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from actr_peer.errors import (
    BrokenError,
    ClosedError,
    LimitError,
    PeerError,
    RemoteProtocolError,
    UnreachableError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType, WireKind
from actr_peer.protocol.rpc.envelopes import decode_envelope, encode_reply
from actr_peer.protocol.session import frames
from actr_peer.protocol.session.budget import Budget
from actr_peer.protocol.session.frames import Hello
from actr_peer.rpc.calls import PendingCall, PendingCalls
from actr_peer.tasks import failures
from actr_peer.transport.link import Link
from actr_peer.transport.remote import RemoteTransport
from actr_peer.wire.base import Wire, WireSink
from peer_kit.fakes import ScriptedWire
from peer_kit.links import ADA, BOB, Heard, Pair, eventually, joined

RPC, STREAM = PayloadType.RPC_RELIABLE, PayloadType.STREAM_RELIABLE
EVE = ActrId("acme", "eve", "1")


async def connect(pair: Pair) -> tuple[Link, Link]:
    near = pair.ada.transport.link(BOB)
    await near.lane(STREAM).send(b"first")
    await pair.bob.heard.until(lambda: bool(pair.bob.heard.bodies(STREAM)))
    await eventually(lambda: near._session.lanes.is_empty)
    far = pair.bob.transport.find(ADA)
    assert far is not None
    return near, far


# Idle links


async def test_what_is_sent_in_the_turn_of_the_question_is_heard_once() -> None:
    async with joined() as pair:
        near, far = await connect(pair)
        near.used_at -= 400
        far.used_at -= 400
        near.close_if_idle(300.0)
        near.lane(STREAM).offer(b"second")
        await pair.bob.heard.until(lambda: len(pair.bob.heard.bodies(STREAM)) > 1)
        await eventually(lambda: near._session.lanes.is_empty)
        near.lane(STREAM).offer(b"third")
        await pair.bob.heard.until(lambda: pair.bob.heard.bodies(STREAM)[-1] == b"third")
        assert pair.bob.heard.bodies(STREAM) == [b"first", b"second", b"third"]


async def test_an_idle_link_goes_at_once_when_it_is_agreed() -> None:
    async with joined() as pair:
        near, far = await connect(pair)
        near.used_at -= 400
        far.used_at -= 400
        near.close_if_idle(300.0)
        await pair.ada.heard.until(lambda: near.is_over)
        assert far.is_over
        assert [type(e) for e in pair.ada.heard.errors + pair.bob.heard.errors] == [ClosedError] * 2


# Calls


def pending(calls: PendingCalls, remote: ActrId, name: str) -> PendingCall:
    return calls.open(remote, name, RPC, asyncio.get_running_loop())


async def test_nobody_but_the_callee_can_answer_a_call() -> None:
    calls = PendingCalls()
    call = pending(calls, BOB, "a")
    reply = decode_envelope(encode_reply("a", b"forged"))
    assert not calls.resolve(EVE, reply)
    assert not call.future.done()
    assert calls.resolve(ActrId("acme", "bob", "1"), reply)
    assert call.future.result() is reply


async def test_the_end_of_a_link_fails_the_calls_sent_by_it_and_no_others() -> None:
    async with joined() as pair:
        calls = PendingCalls()
        old = pair.ada.transport.link(BOB)
        await old.ready()
        closing = asyncio.create_task(old.close())
        await eventually(lambda: old.is_shut)
        successor = pair.ada.transport.link(BOB)
        assert successor is not old
        sent, unsent, later = (pending(calls, BOB, name) for name in ("a", "b", "c"))
        sent.sent(old)
        later.sent(successor)
        calls.fail_link(old, BrokenError("gone"))
        assert isinstance(sent.future.exception(), BrokenError)
        assert (unsent.future.done(), later.future.done()) == (False, False)
        sent.renew()
        calls.fail_link(old, BrokenError("gone"))
        assert not sent.future.done()
        await closing


# The pool


async def test_a_closed_pool_dials_nothing_and_asks_for_no_time() -> None:
    async with joined() as pair:
        near, _ = await connect(pair)
        pool = near._bundle.pool
        pool.close()
        dials = len(pair.ada.dials)
        for wire in list(near._bundle.wires.values()):
            pool.remove(wire, BrokenError("test"))
        now = asyncio.get_running_loop().time() + 100
        deeds: list[Callable[[], None]] = [
            lambda: pool.mend(now),
            lambda: pool.refresh(now),
            lambda: pool.replace(now),
        ]
        for deed in deeds:
            deed()
            assert not pool.is_dialling
        assert pool.slots.due() == float("inf")
        await asyncio.sleep(0)
        assert len(pair.ada.dials) == dials


async def test_a_pool_with_wires_dials_nothing_after_its_end_though_the_network_changes() -> None:
    async with joined() as pair:
        near, _ = await connect(pair)
        pool = near._bundle.pool
        pool.close()
        pool.replace(asyncio.get_running_loop().time())
        assert not pool.is_dialling


async def test_a_wire_that_opens_after_the_end_of_its_pool_is_aborted() -> None:
    wire = ScriptedWire(BOB)
    may_open = asyncio.Event()

    async def stubborn(_: ActrId) -> Wire:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await may_open.wait()
        return wire

    class SlowWire(ScriptedWire):
        async def close(self) -> None:
            await may_close.wait()
            await super().close()

    may_close = asyncio.Event()
    slow = SlowWire(BOB)
    transport = a_transport({WireKind.WEBSOCKET: stubborn})
    async with transport:
        link = transport.link(BOB)
        link.add(slow)
        await asyncio.sleep(0)
        closing = asyncio.create_task(link.close())
        await asyncio.sleep(0)
        may_open.set()
        await eventually(lambda: wire.closes > 0)
        assert not link.is_over  # it still closes the other one
        assert wire.sink is None
        may_close.set()
        await closing


async def test_a_failure_while_dialling_is_one_dial_that_failed() -> None:
    async def broken(_: ActrId) -> Wire:
        raise ZeroDivisionError

    transport = a_transport({WireKind.WEBSOCKET: broken})
    before = failures["dial"]
    async with transport:
        link = transport.link(BOB)
        await eventually(lambda: link._bundle.pool.slots.by_kind[WireKind.WEBSOCKET].tries == 1)
        link.fail(UnreachableError(str(BOB), "test"))
    assert failures["dial"] == before + 1


def a_transport(dialers: dict[WireKind, Callable[[ActrId], object]]) -> RemoteTransport:
    return RemoteTransport(
        self_id=ADA,
        incarnation=1000,
        dialers=dialers,  # type: ignore[arg-type]
        sink=Heard(),
        prefer=(WireKind.WEBSOCKET,),
    )


# Wires of other incarnations


def hello(incarnation: int) -> bytes:
    return frames.encode_hello(Hello(incarnation, 0, (0,) * 6, 1 << 20))


async def test_a_refused_wire_is_closed_and_an_old_incarnation_stays_retired() -> None:
    transport = a_transport({})
    async with transport:
        wires = [ScriptedWire(BOB, was_dialled=False) for _ in range(3)]
        for wire, incarnation in zip(wires, (222, 333, 222), strict=True):
            transport.accept(wire)
            wire.deliver(1, hello(incarnation))
        link = transport.find(BOB)
        assert link is not None
        assert [wire.closes for wire in wires] == [1, 0, 1]
        assert list(link._bundle.wires) == [wires[1].id]
        assert link._session.remote_incarnation == 333


# What all links hold together


async def test_invented_identities_cannot_make_a_process_hold_more_than_its_budget() -> None:
    budget = Budget(1 << 20)
    heard = Heard()
    transport = RemoteTransport(
        self_id=ADA,
        incarnation=1000,
        dialers={},
        sink=heard,
        prefer=(WireKind.WEBSOCKET,),
        budget=budget,
    )
    size = 16_000
    most = 0
    async with transport:
        wires = [
            ScriptedWire(ActrId("acme", f"nobody{n}", "1"), was_dialled=False) for n in range(50)
        ]
        for wire in wires:
            transport.accept(wire)
            wire.deliver(1, hello(222))
            for part in range(5):
                wire.deliver(0, frames.fragment_head(part, size, part, 1000) + bytes(size))
                most = max(most, budget.held_bytes)
        await eventually(lambda: sum(wire.is_open for wire in wires) == 50 - budget.dropped)
        assert most <= 1 << 20
        assert budget.dropped == 50 - (1 << 20) // (5 * size)
        assert [wire.is_open for wire in wires] == [False] * budget.dropped + [True] * 13
        assert {type(error) for error in heard.errors} == {LimitError}
    assert budget.held_bytes == 0


# Failures on this side


class Faulty(Heard):
    """A sink that fails when it hears a certain word."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def message(self, link: Link, payload_type: PayloadType, message: bytes, number: int) -> None:
        if message == b"poison":
            raise self.error
        super().message(link, payload_type, message, number)


@pytest.mark.parametrize(
    ("error", "counted"),
    [(ZeroDivisionError("a bug"), 1), (RemoteProtocolError("its fault"), 0)],
    ids=["a bug of this side", "a fault of the far side"],
)
async def test_what_a_message_makes_fail_ends_its_link_and_no_more(
    error: Exception, counted: int
) -> None:
    before = failures["link"]
    async with joined() as pair:
        heard = pair.bob.heard = Faulty(error)
        pair.bob.transport._setup = replace(pair.bob.transport._setup, sink=heard)
        link = pair.ada.transport.link(BOB)
        await link.lane(STREAM).send(b"poison")
        await heard.until(lambda: bool(heard.errors))
        await pair.ada.heard.until(lambda: bool(pair.ada.heard.errors))
        await pair.ada.transport.link(BOB).lane(STREAM).send(b"well")
        await heard.until(lambda: heard.bodies(STREAM) == [b"well"])
    assert failures["link"] == before + counted


async def test_a_failure_while_a_wire_is_taken_ends_that_link_and_aborts_the_wire() -> None:
    class Unfit(ScriptedWire):
        def attach(self, sink: WireSink) -> None:
            raise ZeroDivisionError

    before = failures["link"]
    transport = a_transport({})
    async with transport:
        others = ScriptedWire(EVE, was_dialled=False)
        transport.accept(others)
        wire = Unfit(BOB, was_dialled=False)
        transport.accept(wire)
        assert (wire.is_open, transport.find(BOB)) == (False, None)
        assert (others.is_open, transport.find(EVE) is not None) == (True, True)
    assert failures["link"] == before + 1


@pytest.mark.parametrize("event", ["writable", "the end of a turn"])
async def test_a_failure_while_wires_are_fed_ends_that_link(
    event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    before = failures["link"]
    heard = Heard()
    async with joined() as pair:
        pair.ada.transport._setup = replace(pair.ada.transport._setup, sink=heard)
        near, _ = await connect(pair)
        wire = next(iter(near._bundle.wires.values()))
        monkeypatch.setattr(near._session, "take", take)
        if event == "writable":
            near._bundle.writable(wire)
        else:
            asyncio.get_running_loop().call_soon(near._bundle.pump._end_turn)
            await heard.until(lambda: bool(heard.errors))
        assert near.is_over
        assert [type(error) for error in heard.errors] == [BrokenError]
    assert failures["link"] > before


async def test_a_failure_of_who_hears_of_the_end_of_a_link_goes_no_further() -> None:
    class Deaf(Heard):
        def gone(self, link: Link, error: PeerError) -> None:
            raise ZeroDivisionError

    before = failures["link"]
    transport = a_transport({})
    transport._setup = replace(transport._setup, sink=Deaf())
    async with transport:
        wire = ScriptedWire(BOB, was_dialled=False)
        transport.accept(wire)
        wire.deliver(1, hello(222))
        wire.deliver(1, b"\xff")
        assert transport.find(BOB) is None
        await eventually(lambda: not wire.is_open)
    assert failures["link"] == before + 1


async def test_a_wire_that_cannot_be_aborted_keeps_nobody_from_the_end_of_its_link() -> None:
    class Stuck(ScriptedWire):
        def abort(self) -> None:
            raise ZeroDivisionError

    transport = a_transport({})
    heard = Heard()
    transport._setup = replace(transport._setup, sink=heard)
    async with transport:
        wires = [Stuck(BOB, was_dialled=False), ScriptedWire(BOB, was_dialled=False)]
        for wire in wires:
            transport.accept(wire)
        link = transport.find(BOB)
        assert link is not None
        link.fail(BrokenError("test"))
        assert (wires[1].is_open, len(heard.errors)) == (False, 1)
