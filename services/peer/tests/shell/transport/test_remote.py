from __future__ import annotations

import asyncio
import gc
import weakref
from functools import partial

import pytest

from actr_peer.errors import (
    BrokenError,
    ClosedError,
    LocalProtocolError,
    PeerError,
    UnreachableError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import BYTE_LANES, PayloadType, WireKind
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.tasks import failures
from actr_peer.testing.wires import MemoryWire, join
from actr_peer.transport.link import Link
from actr_peer.wire.base import Wire
from peer_kit.links import ADA, BOB, KINDS, Heard, Pair, eventually, joined

RPC, SIGNAL, STREAM, LATENCY = BYTE_LANES
RTC, WS = WireKind.WEBRTC, WireKind.WEBSOCKET
EVE = ActrId("acme", "eve", "1")


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry after a hundredth of a second."""
    monkeypatch.setattr("actr_peer.protocol.session.wires.slots.FIRST_DELAY", 0.01)


def open_wires(pair: Pair, kind: WireKind) -> list[MemoryWire]:
    return [wire for wire in pair.nets[kind].wires if wire.is_open]


def has_one(pair: Pair, kind: WireKind) -> bool:
    return len(open_wires(pair, kind)) == 1


def is_heard(heard: Heard, bodies: list[bytes]) -> bool:
    return heard.bodies(STREAM) == bodies


def is_whole(link: Link) -> bool:
    return {view.state for view in link.view().wires} == {WireState.READY}


async def test_a_thousand_callers_at_once_share_one_link_and_one_dial_of_each_kind() -> None:
    async with joined() as pair:

        async def call(n: int) -> Link:
            link = pair.ada.transport.link(BOB)
            await link.lane(RPC).send(b"%d" % n)
            await link.ready()
            return link

        links = await asyncio.gather(*(call(n) for n in range(1000)))
        assert len(set(map(id, links))) == 1
        assert sorted(pair.ada.dials, key=KINDS.index) == list(KINDS)
        await pair.bob.heard.until(lambda: len(pair.bob.heard.bodies()) == 1000)
        assert pair.bob.heard.bodies() == [b"%d" % n for n in range(1000)]


@pytest.mark.parametrize("hanging", KINDS)
async def test_a_dial_that_hangs_delays_no_other(hanging: WireKind) -> None:
    async with joined() as pair:

        async def hang(_: ActrId) -> Wire:
            await asyncio.Event().wait()
            raise AssertionError

        pair.ada.dialers[hanging] = hang
        link = pair.ada.transport.link(BOB)
        await link.lane(RPC).send(b"x")
        await pair.bob.heard.until(lambda: bool(pair.bob.heard.bodies()))
        states = {view.kind: view.state for view in link.view().wires}
        assert states[hanging] is WireState.CONNECTING


@pytest.mark.usefixtures("_soon")
async def test_a_remote_that_cannot_be_reached_fails_everybody_who_waits() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(EVE)
        await link.lane(RPC).send(bytes(5 << 20))
        waiting = [
            asyncio.create_task(link.ready()),
            asyncio.create_task(link.lane(RPC).send(bytes(100))),
        ]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [UnreachableError, UnreachableError]
        assert len(pair.ada.dials) == 6
        assert [type(error) for error in pair.ada.heard.errors] == [UnreachableError]
        assert pair.ada.transport.find(EVE) is None
        with pytest.raises(UnreachableError, match="nobody listens"):
            link.lane(RPC).post(b"x")


async def test_nothing_is_kept_of_a_connection_whose_dial_failed() -> None:
    class Connection:
        """What a dial has in its hands when it fails."""

    async with joined() as pair:
        made: list[weakref.ref[Connection]] = []

        async def fails(remote: ActrId) -> Wire:
            connection = Connection()
            made.append(weakref.ref(connection))
            raise UnreachableError(str(remote), "no such way") from BrokenError(repr(connection))

        pair.ada.dialers[RTC] = fails
        link = pair.ada.transport.link(BOB)
        await link.lane(RPC).send(b"by the other wire")
        await pair.bob.heard.until(lambda: bool(pair.bob.heard.bodies()))
        gc.collect()
        assert [connection() for connection in made] == [None]


@pytest.mark.usefixtures("_soon")
async def test_a_dial_that_fails_is_tried_again() -> None:
    async with joined() as pair:
        dial, failures = pair.ada.dialers[WS], iter(range(2))

        async def flaky(remote: ActrId) -> Wire:
            for _ in failures:
                raise UnreachableError(str(remote), "not now")
            return await dial(remote)

        pair.ada.dialers[WS] = flaky
        link = pair.ada.transport.link(BOB)
        await pair.ada.heard.until(lambda: is_whole(link))


@pytest.mark.usefixtures("_soon")
async def test_a_link_is_removed_when_every_wire_has_failed_and_no_try_is_left() -> None:
    async with joined(health_interval=0.1) as pair:
        link = pair.ada.transport.link(BOB)
        await pair.ada.heard.until(lambda: is_whole(link))
        await link.lane(STREAM).send(b"x")
        for net in pair.nets.values():
            net.leave(BOB)
            net.leave(ADA)
        for kind in KINDS:
            pair.cut(kind)
        await pair.ada.heard.until(lambda: bool(pair.ada.heard.errors))
        assert [type(error) for error in pair.ada.heard.errors] == [BrokenError]
        assert pair.ada.transport.links() == []


@pytest.mark.usefixtures("_soon")
async def test_a_health_round_mends_a_kind_that_had_used_up_its_tries() -> None:
    async with joined(health_interval=0.2) as pair:
        dial = pair.ada.dialers[RTC]

        async def refuse(remote: ActrId) -> Wire:
            pair.ada.dials.append(RTC)
            raise UnreachableError(str(remote), "no way")

        pair.ada.dialers[RTC] = refuse
        link = pair.ada.transport.link(BOB)
        await link.ready()
        await pair.ada.heard.until(lambda: (RTC, WireState.FAILED) in pair.ada.heard.changes)
        pair.ada.dialers[RTC] = dial
        await pair.ada.heard.until(lambda: is_whole(link))


async def test_both_sides_dialling_at_once_end_with_one_wire_of_each_kind() -> None:
    async with joined() as pair:
        near, far = pair.ada.transport.link(BOB), pair.bob.transport.link(ADA)
        for n in range(200):
            near.lane(STREAM).post(b"%d" % n)
            far.lane(STREAM).post(b"%d" % n)
        bodies = [b"%d" % n for n in range(200)]
        for heard in (pair.ada.heard, pair.bob.heard):
            await heard.until(partial(is_heard, heard, bodies))
        await eventually(lambda: all(len(open_wires(pair, kind)) == 1 for kind in KINDS))
        assert is_whole(near)
        assert is_whole(far)
        for kind in KINDS:
            (wire,) = open_wires(pair, kind)
            assert wire.remote == BOB  # dialled by the smaller id
        assert (near.view().lanes[STREAM].queued, pair.ada.heard.errors) == (0, [])


@pytest.mark.parametrize("mover", ["ada", "bob"])
async def test_a_changed_network_brings_new_wires_and_then_lets_go_of_the_old(mover: str) -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await pair.ada.heard.until(lambda: is_whole(link))
        await asyncio.sleep(0.5)  # a wire that is younger may be one of two dialled at once
        before = {kind: open_wires(pair, kind) for kind in KINDS}
        bodies = [b"%d" % n for n in range(300)]
        for n, body in enumerate(bodies):
            await link.lane(STREAM).send(body)
            if n == 100:
                getattr(pair, mover).transport.network_changed()
        await pair.bob.heard.until(lambda: len(pair.bob.heard.bodies(STREAM)) == 300)
        assert pair.bob.heard.bodies(STREAM) == bodies
        for kind in KINDS:
            await eventually(partial(has_one, pair, kind))
            assert open_wires(pair, kind) != before[kind]
        assert pair.ada.heard.errors == []


async def test_a_new_process_of_the_far_side_gets_what_the_old_one_had_not_stored() -> None:
    async with joined() as pair:
        pair.bob.heard.acknowledges = False
        link = pair.ada.transport.link(BOB)
        await link.lane(RPC).send(b"call")
        await link.lane(STREAM).send(b"item")
        await pair.bob.heard.until(lambda: len(pair.bob.heard.messages) == 2)
        await asyncio.sleep(0.05)
        old = pair.bob.transport
        pair.bob.incarnation = 3000
        pair.bob.heard.messages.clear()
        async with pair.bob.make():
            for kind in KINDS:
                pair.cut(kind)
            await pair.bob.heard.until(lambda: pair.bob.heard.bodies() == [b"call"])
            assert pair.bob.heard.bodies(STREAM) == []
            (last,) = pair.ada.heard.resets
            assert (last[RPC], last[STREAM]) == (-1, 0)
            await link.lane(STREAM).send(b"next")
            await pair.bob.heard.until(lambda: pair.bob.heard.bodies(STREAM) == [b"next"])
        assert old is not pair.bob.transport


async def test_a_link_made_again_is_not_taken_for_the_old_one() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        for n in range(10):
            await link.lane(STREAM).send(b"old %d" % n)
        await pair.bob.heard.until(lambda: len(pair.bob.heard.bodies(STREAM)) == 10)
        link.fail(BrokenError("a test"))
        again = pair.ada.transport.link(BOB)
        await again.lane(STREAM).send(b"new")
        await pair.bob.heard.until(lambda: pair.bob.heard.bodies(STREAM)[-1] == b"new")


# Closing


async def test_closing_delivers_what_was_accepted() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await link.ready()
        for n in range(500):
            link.lane(RPC).post(bytes(1000) + b"%d" % n)
        await link.close()
        assert len(pair.bob.heard.bodies()) == 500
        assert pair.ada.transport.links() == []
        await pair.bob.heard.until(lambda: bool(pair.bob.heard.errors))
        assert isinstance(pair.bob.heard.errors[0], BrokenError)
        assert [type(error) for error in pair.ada.heard.errors] == [ClosedError]


async def test_after_closing_nothing_is_taken() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await link.ready()
        await pair.ada.transport.close()
        await pair.ada.transport.close()
        await link.close()
        with pytest.raises(ClosedError):
            await link.lane(RPC).send(b"x")
        with pytest.raises(ClosedError):
            await link.ready()
        with pytest.raises(ClosedError):
            pair.ada.transport.link(BOB)


async def test_closing_does_not_wait_for_ever_for_a_far_side_that_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actr_peer.transport.link.FLUSH_SECONDS", 0.05)
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await pair.ada.heard.until(lambda: is_whole(link))
        for kind in KINDS:
            for wire in pair.nets[kind].wires:
                wire.is_held = True
        await link.lane(RPC).send(b"x")
        async with asyncio.timeout(60):
            await link.close()


async def test_closing_can_be_cancelled() -> None:
    async with joined() as pair:
        pair.bob.heard.acknowledges = False
        link = pair.ada.transport.link(BOB)
        await link.lane(RPC).send(b"x")
        await link.ready()
        closing = asyncio.create_task(link.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert pair.ada.transport.links() == []
        await eventually(lambda: not any(open_wires(pair, kind) for kind in KINDS))


_is_idle = Link._is_idle


def soon_idle(link: Link, seconds: float) -> bool:
    """As the real one, with a hundredth of the patience."""
    return _is_idle(link, seconds / 100)


async def test_an_idle_link_is_closed_by_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actr_peer.transport.link.Link._is_idle", soon_idle)
    async with joined(health_interval=0.05, idle_after=10.0) as pair:
        link = pair.ada.transport.link(BOB)
        await link.lane(RPC).send(b"x")
        await pair.ada.heard.until(lambda: bool(pair.ada.heard.errors))
        await pair.bob.heard.until(lambda: bool(pair.bob.heard.errors))
        assert pair.ada.transport.links() == pair.bob.transport.links() == []
        errors: list[PeerError] = [*pair.ada.heard.errors, *pair.bob.heard.errors]
        assert {type(error) for error in errors} == {ClosedError}
        await pair.ada.transport.link(BOB).lane(RPC).send(b"again")
        await pair.bob.heard.until(lambda: pair.bob.heard.bodies() == [b"x", b"again"])


async def test_a_link_that_is_needed_above_is_not_idle() -> None:
    asked = asyncio.Event()

    def in_use(_: Link) -> bool:
        asked.set()
        return True

    async with joined(health_interval=0.02, idle_after=0.05, in_use=in_use) as pair:
        link = pair.ada.transport.link(BOB)
        await link.ready()
        await asked.wait()
        assert pair.ada.transport.links() == [link]


@pytest.mark.parametrize("lane", [RPC, STREAM])
async def test_a_message_that_crosses_the_end_of_an_idle_link_is_not_lost(
    lane: PayloadType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. Ada asks whether the idle link may be closed; Bob agrees.
    2. Before Bob's answer comes, Ada sends a message, which Bob does not hear.
    3. It arrives in a new session, once.
    """
    monkeypatch.setattr("actr_peer.transport.link.Link._is_idle", soon_idle)
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await pair.ada.heard.until(lambda: is_whole(link))
        await asyncio.sleep(0.06)
        hear_of_end = pair.bob.heard.gone

        def gone(its_link: Link, error: PeerError) -> None:
            hear_of_end(its_link, error)
            link.lane(lane).offer(b"crossing")

        monkeypatch.setattr(pair.bob.heard, "gone", gone)
        link.close_if_idle(0.0)
        await pair.bob.heard.until(lambda: pair.bob.heard.bodies(lane) == [b"crossing"])
        assert [type(error) for error in pair.bob.heard.errors] == [ClosedError]
        assert (pair.ada.heard.resets, pair.ada.heard.errors) == ([], [])


async def test_what_is_sent_to_the_own_id_arrives_and_has_no_link_among_the_others() -> None:
    async with joined() as pair:
        transport = pair.ada.transport
        link = transport.link(ADA)
        assert transport.find(ADA) is transport.link(ADA) is link
        await link.lane(PayloadType.RPC_RELIABLE).send(b"to myself")
        assert pair.ada.heard.bodies() == [b"to myself"]
        assert transport.links() == []
    assert [type(error) for error in pair.ada.heard.errors] == [ClosedError]
    with pytest.raises(ClosedError):
        link.lane(PayloadType.RPC_RELIABLE).post(b"too late")


async def test_a_wire_from_the_own_id_is_refused() -> None:
    async with joined() as pair:
        with pytest.raises(LocalProtocolError):
            pair.ada.transport.accept(join(ADA, ADA)[0])


async def test_an_idle_link_is_closed_when_one_side_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actr_peer.transport.link.Link._is_idle", soon_idle)
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await pair.ada.heard.until(lambda: is_whole(link))
        await asyncio.sleep(0.06)
        link.close_if_idle(0.0)
        await pair.ada.heard.until(lambda: bool(pair.ada.heard.errors))
        assert isinstance(pair.ada.heard.errors[0], ClosedError)
        assert pair.ada.transport.links() == pair.bob.transport.links() == []


async def test_a_far_side_in_which_something_happens_does_not_agree_to_close() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await pair.ada.heard.until(lambda: is_whole(link))
        pair.bob.transport.links()[0].lane(STREAM).post(b"busy")
        link.close_if_idle(0.0)
        await asyncio.sleep(0.05)
        assert pair.ada.transport.links() == [link]
        assert (pair.ada.heard.errors, pair.bob.heard.errors) == ([], [])


async def test_an_idle_link_without_a_wire_is_closed_at_once() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await link.ready()
        for kind in KINDS:
            pair.cut(kind)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not link.is_ready
        link.close_if_idle(0.0)
        assert pair.ada.transport.links() == []


async def test_cancelling_ready_leaves_the_link_as_it_is() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        waiting = asyncio.create_task(link.ready())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await link.ready()
        assert pair.ada.transport.links() == [link]


async def test_a_closed_transport_takes_no_wire() -> None:
    async with joined() as pair:
        await pair.bob.transport.close()
        wire = await pair.nets[WS].dial(ADA, BOB)
        await eventually(lambda: not wire.is_open)


async def test_a_wire_that_breaks_while_it_is_written_to_loses_nothing() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await pair.ada.heard.until(lambda: is_whole(link))
        active = link.view().active
        assert active is not None
        wire = link.wire(active)
        assert isinstance(wire, MemoryWire)
        wire.is_open = False  # it will be told a turn later: until then, sending raises
        await link.lane(STREAM).send(b"x")
        await pair.bob.heard.until(lambda: pair.bob.heard.bodies(STREAM) == [b"x"])


async def test_a_health_round_that_fails_ends_its_link_and_the_others_have_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds, health = asyncio.Event(), Link.health

    def fail(link: Link, now: float) -> None:
        if link.remote == EVE:
            raise ZeroDivisionError
        health(link, now)
        rounds.set()

    before = failures["link"]
    async with joined(health_interval=0.01) as pair:
        link = pair.ada.transport.link(BOB)
        await link.ready()
        broken = pair.ada.transport.link(EVE)
        monkeypatch.setattr(Link, "health", fail)
        async with asyncio.timeout(60):
            while not broken.is_over:
                rounds.clear()
                await rounds.wait()
        rounds.clear()
        await rounds.wait()
        assert not link.is_over
    assert failures["link"] == before + 1
