from __future__ import annotations

import asyncio

from linkpair import ADA, BOB, KINDS, joined

from actr_peer.protocol.payload import BYTE_LANES, PayloadType, WireKind
from actr_peer.protocol.wires import WireState

RPC = PayloadType.RPC_RELIABLE
STREAM = PayloadType.STREAM_RELIABLE


async def test_a_message_sent_before_any_wire_goes_out_on_the_first_that_comes_up() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await link.lane(RPC).send(b"hello")
        await pair.bob.heard.until(lambda: pair.bob.heard.bodies() == [b"hello"])


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
        link = pair.ada.transport.link(BOB)
        await pair.ada.heard.until(
            lambda: all(link.view().wires[n].state is WireState.READY for n in (0, 1))
        )
        await pair.ada.heard.until(lambda: link.view().active is WireKind.WEBRTC)
        assert [view.kind for view in link.view().wires] == list(KINDS)


async def test_nothing_is_lost_when_the_wire_in_use_is_cut() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await link.ready()
        sent = [b"%d" % n for n in range(2000)]
        for n, body in enumerate(sent):
            await link.lane(RPC).send(body)
            if n in (500, 1500):
                pair.cut(link.view().active or WireKind.WEBRTC)
        await pair.bob.heard.until(lambda: len(pair.bob.heard.bodies()) >= len(sent))
        assert pair.bob.heard.bodies() == sent


async def test_a_long_message_is_cut_up_and_put_together() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        body = bytes(range(256)) * 4096 * 15
        await link.lane(STREAM).send(body)
        await pair.bob.heard.until(lambda: bool(pair.bob.heard.bodies(STREAM)))
        assert pair.bob.heard.bodies(STREAM) == [body]


async def test_leaving_the_block_leaves_no_task() -> None:
    async with joined() as pair:
        await pair.ada.transport.link(BOB).ready()
    assert len(asyncio.all_tasks()) == 1
