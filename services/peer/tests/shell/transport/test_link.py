from __future__ import annotations

import asyncio

import pytest

from actr_peer.errors import BrokenError, LimitError, RemoteProtocolError
from actr_peer.protocol.payload import BYTE_LANES, PayloadType, WireKind
from actr_peer.protocol.session.frames import ByeReason, data_head, encode_bye
from actr_peer.protocol.session.wires import slots
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.session.wires.slots import MAX_WIRES
from actr_peer.testing.wires import MemoryWire, join
from actr_peer.transport.link import Link
from peer_kit.links import ADA, BOB, KINDS, Pair, eventually, joined

RPC, SIGNAL, STREAM, LATENCY = BYTE_LANES
RTC, WS = WireKind.WEBRTC, WireKind.WEBSOCKET


def states(link: Link) -> dict[WireKind, WireState]:
    return {view.kind: view.state for view in link.view().wires}


def is_whole(link: Link) -> bool:
    return set(states(link).values()) == {WireState.READY}


def held_bytes(link: Link) -> int:
    return sum(lane.sending_bytes + lane.receiving_bytes for lane in link.view().lanes.values())


async def both_ready(pair: Pair) -> Link:
    link = pair.ada.transport.link(BOB)
    await pair.ada.heard.until(lambda: is_whole(link))
    return link


async def arrive(pair: Pair, bodies: list[bytes], lane: PayloadType = RPC) -> None:
    await pair.bob.heard.until(lambda: len(pair.bob.heard.bodies(lane)) >= len(bodies))
    assert pair.bob.heard.bodies(lane) == bodies


async def test_a_message_sent_before_any_wire_goes_out_on_the_first_that_comes_up() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await link.lane(RPC).send(b"hello")
        await arrive(pair, [b"hello"])


async def test_every_byte_lane_carries_messages_both_ways() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await link.ready()
        for lane in BYTE_LANES:
            await link.lane(lane).send(bytes([lane]))
        await pair.bob.heard.until(lambda: len(pair.bob.heard.messages) == 4)
        back = pair.bob.transport.find(ADA)
        assert back is not None
        for lane in BYTE_LANES:
            back.lane(lane).post(bytes([lane]))
        await pair.ada.heard.until(lambda: len(pair.ada.heard.messages) == 4)
        assert {lane: body for lane, body, _ in pair.ada.heard.messages} == {
            lane: bytes([lane]) for lane in BYTE_LANES
        }


async def test_both_kinds_become_ready_and_the_preferred_one_is_used() -> None:
    async with joined() as pair:
        link = await both_ready(pair)
        await pair.ada.heard.until(lambda: link.view().active is RTC)
        assert [view.kind for view in link.view().wires] == list(KINDS)


async def test_a_lane_is_always_the_same_object() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        assert all(link.lane(lane) is link.lane(lane) for lane in BYTE_LANES)


async def test_nothing_is_lost_when_the_wire_in_use_is_cut() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await link.ready()
        sent = [b"%d" % n for n in range(2000)]
        for n, body in enumerate(sent):
            await link.lane(RPC).send(body)
            if n in (500, 1500):
                pair.cut(link.view().active or RTC)
        await arrive(pair, sent)


async def test_nothing_is_lost_when_the_wire_in_use_falls_silent() -> None:
    """1. The wire in use takes everything and delivers nothing, both ways.
    2. Traffic goes on; it moves to the other wire, which the far side is not told.
    3. The wire is suspect, then good again, and what it held arrives late.
    """
    async with joined() as pair:
        link = await both_ready(pair)
        active = link.view().active
        assert active is not None
        wire = link.wire(active)
        far = pair.bob.transport.find(ADA)
        assert far is not None
        silent = [end.wire(active) for end in (link, far)]
        for end in silent:
            assert isinstance(end, MemoryWire)
            end.is_held = True
        sent = [b"%d" % n for n in range(100)]
        for body in sent:
            await link.lane(STREAM).send(body)
        await arrive(pair, sent, STREAM)
        await pair.ada.heard.until(lambda: states(link)[active] is WireState.SUSPECT)
        assert link.view().active is not active
        for end in silent:
            assert isinstance(end, MemoryWire)
            end.release()
        await pair.ada.heard.until(lambda: is_whole(link))
        assert link.wire(active) is wire
        assert pair.bob.heard.bodies(STREAM) == sent


async def test_a_long_message_is_cut_up_and_put_together() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        body = bytes(range(256)) * 4096 * 16
        await link.lane(STREAM).send(body)
        await arrive(pair, [body], STREAM)


async def test_a_message_over_the_limit_is_refused_before_anything_is_sent() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        for lane in BYTE_LANES:
            with pytest.raises(LimitError):
                await link.lane(lane).send(bytes((16 << 20) + 1))
            with pytest.raises(LimitError):
                link.lane(lane).post(bytes((16 << 20) + 1))
        assert held_bytes(link) == 0


async def test_an_urgent_message_overtakes_a_stream_that_fills_the_wire() -> None:
    async with joined() as pair:
        link = await both_ready(pair)
        for _ in range(60):
            link.lane(STREAM).post(bytes(65_536))
        await asyncio.sleep(0)
        link.lane(SIGNAL).post(b"urgent")
        await pair.bob.heard.until(lambda: bool(pair.bob.heard.bodies(SIGNAL)))
        assert len(pair.bob.heard.bodies(STREAM)) < 20
        await pair.bob.heard.until(lambda: len(pair.bob.heard.bodies(STREAM)) == 60)


async def test_a_latency_first_message_is_never_kept_past_its_life() -> None:
    async with joined() as pair:
        link = await both_ready(pair)
        for kind in KINDS:
            wire = link.wire(kind)
            assert isinstance(wire, MemoryWire)
            wire.is_held = wire.is_full = True
        for n in range(300):
            await link.lane(LATENCY).send(b"%d" % n)
        assert link.view().lanes[LATENCY].dropped == 300 - 256
        await asyncio.sleep(0.15)
        view = link.view().lanes[LATENCY]
        assert (view.dropped, view.queued, view.sending_bytes) == (300, 0, 0)


async def test_afterwards_nothing_is_held() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        for n in range(500):
            for lane in BYTE_LANES:
                # A latency-first message whose second half came too late is held for ten seconds.
                await link.lane(lane).send(bytes(n * (4 if lane is LATENCY else 40)))
        await pair.bob.heard.until(lambda: len(pair.bob.heard.bodies(STREAM)) == 500)
        await pair.bob.heard.until(lambda: len(pair.bob.heard.bodies(RPC)) == 500)
        far = pair.bob.transport.find(ADA)
        assert far is not None
        await eventually(lambda: not (held_bytes(link) or held_bytes(far)))


async def test_rpc_messages_are_kept_until_the_far_side_has_stored_them() -> None:
    async with joined() as pair:
        pair.bob.heard.acknowledges = False
        link = pair.ada.transport.link(BOB)
        await link.lane(RPC).send(b"keep me")
        await arrive(pair, [b"keep me"])
        await asyncio.sleep(0.05)
        assert link.view().lanes[RPC].sending_bytes == len(b"keep me")
        far = pair.bob.transport.find(ADA)
        assert far is not None
        far.acknowledge(RPC, pair.bob.heard.messages[0][2])
        await eventually(lambda: not (held_bytes(link)))


async def test_a_remote_that_breaks_the_protocol_is_dropped_and_others_go_on() -> None:
    async with joined() as pair:
        link = await both_ready(pair)
        far = pair.bob.transport.find(ADA)
        assert far is not None
        wire = far.wire(WS)
        assert wire is not None
        wire.send(0, b"\xff noise")
        await pair.ada.heard.until(lambda: bool(pair.ada.heard.errors))
        assert isinstance(pair.ada.heard.errors[0], RemoteProtocolError)
        await pair.bob.heard.until(lambda: bool(pair.bob.heard.errors))
        assert isinstance(pair.bob.heard.errors[0], BrokenError)
        with pytest.raises(BrokenError):
            await link.lane(RPC).send(b"x")
        again = pair.ada.transport.link(BOB)
        assert again is not link
        await again.lane(RPC).send(b"again")
        await arrive(pair, [b"again"])


async def test_a_remote_that_takes_no_replies_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actr_peer.transport.lane.MAX_POSTED_BYTES", 1 << 20)
    async with joined() as pair:
        pair.bob.heard.acknowledges = False
        link = pair.ada.transport.link(BOB)
        for _ in range(17):
            link.lane(RPC).post(bytes(65_536))
        with pytest.raises(LimitError):
            link.lane(RPC).post(bytes(65_536))
        assert isinstance(pair.ada.heard.errors[0], LimitError)
        assert pair.ada.transport.find(BOB) is None


async def test_of_many_that_take_no_replies_one_is_dropped_before_they_fill_the_process() -> None:
    async with joined() as pair:
        pair.bob.heard.acknowledges = False
        link = pair.ada.transport.link(BOB)
        await link.ready()
        posted = pair.ada.transport.posted
        posted.max_bytes = 1 << 20
        link.lane(RPC).post(bytes(65_536))
        assert posted.held_bytes == 0  # it is not worth counting
        for _ in range(16):
            if not link.is_over:
                link.lane(RPC).post(bytes(65_536))
        assert isinstance(pair.ada.heard.errors[0], LimitError)
        assert pair.ada.transport.find(BOB) is None
        assert (posted.held_bytes, posted.dropped) == (0, 1)


async def test_what_is_acknowledged_is_not_counted_any_more() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await link.ready()
        for _ in range(8):
            link.lane(RPC).post(bytes(65_536))
        assert pair.ada.transport.posted.held_bytes > 8 * 65_536
        await eventually(lambda: pair.ada.transport.posted.held_bytes == 0)


async def test_leaving_the_block_leaves_no_task() -> None:
    async with joined() as pair:
        await pair.ada.transport.link(BOB).ready()
    assert len(asyncio.all_tasks()) == 1


async def test_what_an_old_wire_reports_late_does_not_touch_its_successor() -> None:
    async with joined() as pair:
        link = await both_ready(pair)
        await asyncio.sleep(0.5)
        old = link.wire(WS)
        assert old is not None
        pair.ada.transport.network_changed(BOB)
        await pair.ada.heard.until(lambda: link.wire(WS) is not old)
        await eventually(lambda: isinstance(old, MemoryWire) and not old.is_open)
        successor, changes = link.wire(WS), list(pair.ada.heard.changes)
        bundle = link._bundle
        bundle.message(old, 0, b"\xff not a frame")
        bundle.message(old, 0, data_head(0, 4) + b"late")
        bundle.writable(old)
        bundle.closed(old, BrokenError("late"))
        assert link.wire(WS) is successor
        assert pair.ada.heard.changes == changes
        assert pair.ada.heard.messages == []
        await link.lane(RPC).send(b"still here")
        await arrive(pair, [b"still here"])


async def test_a_remote_that_keeps_dialling_does_not_pile_up_wires() -> None:
    async with joined() as pair:
        link = await both_ready(pair)
        for _ in range(30):
            await pair.nets[WS].dial(BOB, ADA)
        await eventually(lambda: sum(wire.is_open for wire in pair.nets[WS].wires) <= MAX_WIRES + 1)
        await link.lane(RPC).send(b"x")
        await arrive(pair, [b"x"])


async def test_what_the_far_side_gives_up_is_dialled_again_without_waiting_for_a_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slots, "SETTLED", 0.0)
    async with joined(health_interval=3600.0) as pair:
        link = await both_ready(pair)
        wire = link.wire(RTC)
        assert wire is not None
        assert pair.ada.dials.count(RTC) == 1
        link._bundle.message(wire, 1, encode_bye(ByeReason.DUPLICATE))
        await eventually(lambda: pair.ada.dials.count(RTC) == 2)
        await pair.ada.heard.until(lambda: is_whole(link))


async def test_a_wire_too_narrow_for_a_frame_is_not_used() -> None:
    async with joined() as pair:
        near, far = join(BOB, ADA, max_message_bytes=1200)
        pair.ada.transport.accept(far)
        await eventually(lambda: not near.is_open)
        assert pair.ada.heard.messages == []
