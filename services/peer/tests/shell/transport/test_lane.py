"""Lanes: one for each payload type; waiting for room, and being cancelled in every phase."""

from __future__ import annotations

import asyncio

import pytest

from actr_peer.errors import BrokenError, ClosedError
from actr_peer.protocol.payload import BYTE_LANES, PayloadType
from actr_peer.protocol.session.fragments import frame_count
from actr_peer.protocol.session.sender import WINDOW_FRAMES
from actr_peer.protocol.streams.fair_queue import COST, QUANTUM, Quantum
from actr_peer.transport.lane import ByteLane, Lane
from actr_peer.transport.link import Link
from actr_peer.transport.local.calls import LocalCall, LocalEnd
from actr_peer.wire.webrtc.engine import MediaSource
from peer_kit.links import BOB, Pair, eventually, joined

RPC = PayloadType.RPC_RELIABLE
SEVERAL = -(-QUANTUM // (100 + COST))
"""Messages of 100 bytes that one turn has."""


async def test_each_payload_type_has_a_lane_always_the_same_one() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        for payload_type in PayloadType:
            lane = link.lane(payload_type)
            assert lane.payload_type is payload_type
            assert link.lane(payload_type) is lane


async def test_lanes_are_one_thing_whatever_is_below() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        wires: Lane[bytes] = link.lane(PayloadType.STREAM_RELIABLE)
        track: Lane[MediaSource] = link.lane(PayloadType.MEDIA_RTP)
        process: Lane[LocalCall] = LocalEnd().lane(PayloadType.RPC_RELIABLE)
        assert [lane.payload_type for lane in (wires, track, process)] == [
            PayloadType.STREAM_RELIABLE, PayloadType.MEDIA_RTP, PayloadType.RPC_RELIABLE,
        ]  # fmt: skip


async def test_what_is_sent_on_a_byte_lane_arrives_as_it_is() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await link.ready()
        for payload_type in BYTE_LANES:
            lane: Lane[bytes] = link.lane(payload_type)
            await lane.send(payload_type.name.encode())
        await pair.bob.heard.until(lambda: len(pair.bob.heard.messages) == len(BYTE_LANES))
        for payload_type in BYTE_LANES:
            assert pair.bob.heard.bodies(payload_type) == [payload_type.name.encode()]


async def test_the_lane_of_tracks_outlives_its_link() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        lane = link.lane(PayloadType.MEDIA_RTP)
        link.fail(BrokenError("test"))
        assert pair.ada.transport.link(BOB) is not link
        assert pair.ada.transport.link(BOB).lane(PayloadType.MEDIA_RTP) is lane


async def test_a_transport_that_was_closed_has_no_lane_of_tracks() -> None:
    async with joined() as pair:
        link = pair.ada.transport.link(BOB)
        await pair.ada.transport.close()
        with pytest.raises(ClosedError):
            link.lane(PayloadType.MEDIA_RTP)


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


def wake_one(lane: ByteLane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make room for one, who does not run before the test waits."""
    monkeypatch.setattr("actr_peer.transport.lane.WINDOW_FRAMES", WINDOW_FRAMES + 1)
    lane.wake()
    assert lane._waiters.frames_kept == 1


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


async def test_of_a_thousand_who_wait_none_is_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def count(size: int) -> int:
        nonlocal looks
        looks += 1
        return frame_count(size)

    async with joined() as pair:
        link = await full_lane(pair)
        monkeypatch.setattr("actr_peer.transport.lane.frame_count", count)
        waiting = [asyncio.create_task(link.lane(RPC).send(b"w%d" % n)) for n in range(1000)]
        await asyncio.sleep(0)
        store(pair, WINDOW_FRAMES)
        await asyncio.gather(*waiting)
        await pair.bob.heard.until(lambda: pair.bob.heard.bodies()[-1] == b"w999")
        assert pair.bob.heard.bodies()[WINDOW_FRAMES:] == [b"w%d" % n for n in range(1000)]
        assert looks <= 5 * 1000


async def test_a_thousand_who_leave_make_room_for_the_one_behind_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with joined() as pair:
        link = await full_lane(pair)
        lane = link.lane(RPC)
        waiting = [asyncio.create_task(lane.send(b"w")) for _ in range(1000)]
        last = asyncio.create_task(lane.send(b"last"))
        await asyncio.sleep(0)
        wake_one(lane, monkeypatch)
        for task in waiting:
            task.cancel()
        with monkeypatch.context() as patch:
            patch.setattr(link, "settle", lambda: None)  # nothing that arrives wakes it
            for _ in range(4):  # turns of the loop
                await asyncio.sleep(0)
        assert last.done()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert not lane.is_crowded
        store(pair, WINDOW_FRAMES)
        await pair.bob.heard.until(lambda: pair.bob.heard.bodies()[-1] == b"last")


async def test_a_writer_that_has_waited_sends_some_in_one_turn_and_then_it_is_another_s() -> None:
    async with joined() as pair:
        link = await full_lane(pair)
        lane = link.lane(RPC)

        async def write(name: str) -> None:
            quantum = Quantum()
            for n in range(2 * SEVERAL):
                await lane.send(f"{name}{n:03}".encode().ljust(100), quantum=quantum)

        writers = [asyncio.create_task(write(name)) for name in "abcd"]
        await asyncio.sleep(0)
        assert lane.is_crowded
        store(pair, WINDOW_FRAMES)
        await asyncio.gather(*writers)
        total = WINDOW_FRAMES + 4 * 2 * SEVERAL
        await pair.bob.heard.until(lambda: len(pair.bob.heard.messages) == total)
        bodies = [body.decode() for body in pair.bob.heard.bodies()[WINDOW_FRAMES:]]
        assert [body[0] for body in bodies] == [
            name for _ in range(2) for name in "abcd" for _ in range(SEVERAL)
        ]
        for name in "abcd":
            mine = [body for body in bodies if body[0] == name]
            assert mine == sorted(mine)
        assert not lane.is_crowded


async def test_room_that_a_writer_has_not_used_in_its_turn_is_the_next_one_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with joined() as pair:
        link = await full_lane(pair)
        lane = link.lane(RPC)
        waiting = [
            asyncio.create_task(lane.send(bytes(100), quantum=Quantum())) for _ in range(100)
        ]
        await asyncio.sleep(0)
        monkeypatch.setattr("actr_peer.transport.lane.WINDOW_FRAMES", WINDOW_FRAMES + 2 * SEVERAL)
        lane.wake()
        # No word of anything comes in these turns of the loop: what goes on does so by itself.
        for _ in range(2 * SEVERAL):
            await asyncio.sleep(0)
        assert sum(task.done() for task in waiting) == SEVERAL + 1
        store(pair, WINDOW_FRAMES)
        pair.bob.heard.acknowledges = True
        await pair.bob.heard.until(lambda: len(pair.bob.heard.messages) > WINDOW_FRAMES + SEVERAL)
        store(pair, len(pair.bob.heard.messages))
        await asyncio.gather(*waiting)
        assert not lane.is_crowded


async def test_posting_does_not_wait() -> None:
    async with joined() as pair:
        link = await full_lane(pair)
        link.lane(RPC).post(b"reply")
        assert link.view().lanes[RPC].queued >= 0
        store(pair, WINDOW_FRAMES)
        await pair.bob.heard.until(lambda: pair.bob.heard.bodies()[-1] == b"reply")


@pytest.mark.parametrize("phase", ["before it runs", "while it waits", "when it was woken"])
async def test_cancelling_send_sends_nothing_and_blocks_nobody(
    phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
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
            wake_one(lane, monkeypatch)
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
async def test_a_link_that_goes_fails_those_who_wait(
    is_woken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with joined() as pair:
        link = await full_lane(pair)
        lane = link.lane(RPC)
        waiting = [asyncio.create_task(lane.send(b"w")) for _ in range(3)]
        await asyncio.sleep(0)
        if is_woken:
            wake_one(lane, monkeypatch)
        link.fail(BrokenError("a test"))
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [BrokenError] * 3
        assert not lane.is_crowded
