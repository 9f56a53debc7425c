"""Frames to callbacks: each track apart, bounded, and nothing left of one that has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from actr_peer.actor.subscribers.media import MAX_TRACKS, QUEUE, QUEUE_BYTES, MediaSubscribers
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media.frames import MediaFrame
from actr_peer.tasks import Tasks
from peer_kit.fakes import ALICE, BOB, turns


def frame(track_id: str, number: int = 0, data: bytes = b"x") -> MediaFrame:
    return MediaFrame(data, number, "VP8", "video", track_id, True, 0, 0)


@pytest.fixture
async def media() -> AsyncIterator[MediaSubscribers]:
    async with Tasks("test") as tasks:
        yield MediaSubscribers(tasks.start)


async def test_frames_of_a_track_come_in_order(media: MediaSubscribers) -> None:
    got: list[int] = []
    media.register("cam", lambda each, sender: got.append(each.timestamp))
    for number in range(QUEUE):
        media.receive(ALICE, frame("cam", number))
    await turns()
    assert got == list(range(QUEUE))


@pytest.mark.parametrize("error", [asyncio.CancelledError, ValueError, SystemExit])
async def test_a_callback_that_fails_in_any_way_loses_that_frame_alone(
    media: MediaSubscribers, error: type[BaseException]
) -> None:
    got: list[int] = []

    async def callback(each: MediaFrame, sender: ActrId) -> None:
        got.append(each.timestamp)
        if each.timestamp == 0:
            raise error

    media.register("cam", callback)
    for number in range(5):
        media.receive(ALICE, frame("cam", number))
        await turns()
    assert got == [0, 1, 2, 3, 4]
    assert (media.dropped, media.unknown) == (0, 0)


async def test_nothing_is_left_of_a_track_whose_frames_are_taken(media: MediaSubscribers) -> None:
    media.register(None, lambda each, sender: None)
    before = len(asyncio.all_tasks())
    for number in range(500):
        media.receive(ALICE, frame(f"call {number}"))
        await turns(2)
    await turns()
    assert media.waiting == 0
    assert len(asyncio.all_tasks()) == before


async def test_a_frame_that_comes_as_the_queue_empties_is_not_lost(
    media: MediaSubscribers,
) -> None:
    got: list[int] = []

    def callback(each: MediaFrame, sender: ActrId) -> None:
        got.append(each.timestamp)
        if each.timestamp < 200:  # one turn later: the worker may just have ended
            again = frame("cam", each.timestamp + 1)
            asyncio.get_running_loop().call_soon(media.receive, ALICE, again)

    media.register("cam", callback)
    media.receive(ALICE, frame("cam", 0))
    await turns(1000)
    assert got == list(range(201))


async def test_a_slow_callback_loses_the_oldest_by_number_and_by_bytes(
    media: MediaSubscribers,
) -> None:
    gate = asyncio.Event()
    got: list[tuple[str, int]] = []

    async def callback(each: MediaFrame, sender: ActrId) -> None:
        await gate.wait()
        got.append((each.track_id, each.timestamp))

    media.register(None, callback)
    for track, data, count in (("many", b"x", QUEUE + 10), ("large", bytes(QUEUE_BYTES // 2), 6)):
        for number in range(count):
            media.receive(ALICE, frame(track, number, data))
            await turns(2)
    assert media.dropped == 9 + 3  # one of each is with its callback
    gate.set()
    await turns(QUEUE * 2)
    assert [number for track, number in got if track == "large"] == [0, 4, 5]
    assert [number for track, number in got if track == "many"] == [0, *range(10, QUEUE + 10)]


async def test_tracks_that_wait_have_a_bound_for_each_sender(media: MediaSubscribers) -> None:
    async def never(each: MediaFrame, sender: ActrId) -> None:
        await asyncio.Event().wait()

    media.register(None, never)
    for number in range(MAX_TRACKS + 5):
        media.receive(ALICE, frame(f"cam {number}"))
    media.receive(BOB, frame("cam 0"))
    assert (media.waiting, media.dropped) == (MAX_TRACKS + 1, 5)


async def test_what_waits_goes_with_its_remote(media: MediaSubscribers) -> None:
    async def never(each: MediaFrame, sender: ActrId) -> None:
        await asyncio.Event().wait()

    media.register(None, never)
    before = len(asyncio.all_tasks())
    media.receive(ALICE, frame("cam"))
    media.receive(BOB, frame("cam"))
    await turns()
    media.forget_remote(ALICE)
    await turns()
    assert media.waiting == 1
    assert len(asyncio.all_tasks()) == before + 1
    media.receive(ALICE, frame("cam"))
    assert media.waiting == 2


async def test_what_unregisters_a_callback_leaves_a_later_one(media: MediaSubscribers) -> None:
    got: list[str] = []
    first = media.register("cam", lambda each, sender: got.append("first"))
    first()
    media.register("cam", lambda each, sender: got.append("second"))
    first()
    media.receive(ALICE, frame("cam"))
    await turns()
    assert got == ["second"]
