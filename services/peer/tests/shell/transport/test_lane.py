"""Lane.send: waiting for room, and being cancelled in every phase."""

from __future__ import annotations

import asyncio

import pytest

from actr_peer.errors import BrokenError
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.session.sender import WINDOW_FRAMES
from actr_peer.transport.link import Link
from peer_kit.links import BOB, Pair, eventually, joined

RPC = PayloadType.RPC_RELIABLE


async def full_lane(pair: Pair) -> Link:
    """A link whose RPC lane has no room, for Bob stores nothing."""
    pair.bob.heard.acknowledges = False
    link = pair.ada.transport.link(BOB)
    await link.ready()
    for n in range(WINDOW_FRAMES):
        await link.lane(RPC).send(b"%d" % n)
    await pair.bob.heard.until(lambda: len(pair.bob.heard.messages) == WINDOW_FRAMES)
    return link


def store(pair: Pair, count: int) -> None:
    """Bob stores his oldest messages."""
    far = pair.bob.transport.links()[0]
    for lane, _, number in pair.bob.heard.messages[:count]:
        far.acknowledge(lane, number)


async def test_a_full_window_makes_senders_wait_and_keeps_their_order() -> None:
    async with joined() as pair:
        link = await full_lane(pair)
        waiting = [asyncio.create_task(link.lane(RPC).send(b"w%d" % n)) for n in range(50)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waiting)
        store(pair, 20)
        await asyncio.gather(*waiting[:20])
        assert not any(task.done() for task in waiting[20:])
        store(pair, WINDOW_FRAMES)
        late = asyncio.create_task(link.lane(RPC).send(b"late"))
        await asyncio.gather(*waiting, late)
        await pair.bob.heard.until(lambda: pair.bob.heard.bodies()[-1] == b"late")
        assert pair.bob.heard.bodies()[WINDOW_FRAMES:] == [
            *(b"w%d" % n for n in range(50)),
            b"late",
        ]
        assert not link.lane(RPC).is_crowded


async def test_posting_does_not_wait() -> None:
    async with joined() as pair:
        link = await full_lane(pair)
        link.lane(RPC).post(b"reply")
        assert link.view().lanes[RPC].queued >= 0
        store(pair, WINDOW_FRAMES)
        await pair.bob.heard.until(lambda: pair.bob.heard.bodies()[-1] == b"reply")


@pytest.mark.parametrize("phase", ["before it runs", "while it waits", "when it was woken"])
async def test_cancelling_send_sends_nothing_and_blocks_nobody(phase: str) -> None:
    async with joined() as pair:
        link = await full_lane(pair)
        lane = link.lane(RPC)
        first = asyncio.create_task(lane.send(b"cancelled"))
        if phase == "before it runs":
            first.cancel()
        await asyncio.sleep(0)
        second = asyncio.create_task(lane.send(b"second"))
        await asyncio.sleep(0)
        if phase == "while it waits":
            first.cancel()
        else:
            lane.wake()
        if phase == "when it was woken":
            for waiter in lane._waiters:
                waiter.future.set_result(None)
            first.cancel()
        store(pair, WINDOW_FRAMES)
        with pytest.raises(asyncio.CancelledError):
            await first
        await second
        await pair.bob.heard.until(lambda: pair.bob.heard.bodies()[-1] == b"second")
        assert b"cancelled" not in pair.bob.heard.bodies()
        assert not lane.is_crowded
        store(pair, len(pair.bob.heard.messages))
        far = pair.bob.transport.links()[0]
        far.acknowledge(RPC, pair.bob.heard.messages[-1][2])
        await eventually(lambda: link.view().lanes[RPC].sending_bytes == 0)


async def test_cancelling_a_send_that_has_room_is_too_late_to_matter() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        task = asyncio.create_task(link.lane(RPC).send(b"x"))
        await asyncio.sleep(0)
        assert task.done()


@pytest.mark.parametrize("is_woken", [False, True])
async def test_a_link_that_goes_fails_those_who_wait(is_woken: bool) -> None:
    async with joined() as pair:
        link = await full_lane(pair)
        lane = link.lane(RPC)
        waiting = [asyncio.create_task(lane.send(b"w")) for _ in range(3)]
        await asyncio.sleep(0)
        if is_woken:
            lane._waiters[0].future.set_result(None)
        link.fail(BrokenError("a test"))
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [BrokenError] * 3
        assert not lane.is_crowded
