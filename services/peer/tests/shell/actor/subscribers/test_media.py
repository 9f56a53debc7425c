"""Frames to callbacks: each track apart, bounded, and nothing left of one that has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from actr_peer.actor.subscribers.callbacks import MAX_TRACKS
from actr_peer.actor.subscribers.frames import QUEUE, QUEUE_BYTES
from actr_peer.actor.subscribers.media import MAX_READERS, MediaSubscribers
from actr_peer.errors import BrokenError, ClosedError, LimitError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media import incoming
from actr_peer.protocol.media.frames import MediaFrame
from actr_peer.protocol.media.incoming import TrackState
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


@pytest.mark.parametrize("takes", ["callback", "iteration"])
async def test_who_loses_pictures_has_a_key_frame_asked_for(takes: str) -> None:
    asked: list[tuple[ActrId, str]] = []
    async with Tasks("test") as tasks:
        media = MediaSubscribers(tasks.start, lambda remote, track: asked.append((remote, track)))
        if takes == "callback":
            media.register("cam", lambda each, sender: asyncio.Event().wait())  # type: ignore[arg-type, return-value]
        else:
            frames = media.track(ALICE, "cam").frames()
            first = asyncio.create_task(anext(frames))
            await turns()
        media.receive(ALICE, frame("cam"))
        await turns()
        for number in range(QUEUE + 1):
            assert asked == []
            media.receive(ALICE, replace(frame("cam", number), keyframe=False))
        assert asked == [(ALICE, "cam")]
        if takes == "iteration":
            await first
            await frames.aclose()


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


async def test_what_unregisters_a_callback_ends_what_waits_and_frees_the_track(
    media: MediaSubscribers,
) -> None:
    may_go_on = asyncio.Event()
    old: list[int] = []
    new: list[int] = []

    async def slow(each: MediaFrame, sender: ActrId) -> None:
        old.append(each.timestamp)
        await may_go_on.wait()

    unregister = media.register("cam", slow)
    for number in range(20):
        media.receive(ALICE, frame("cam", number))
    await turns()
    unregister()
    media.register("cam", lambda each, sender: new.append(each.timestamp))
    media.receive(ALICE, frame("cam", 20))
    await turns()
    assert new == [20]
    may_go_on.set()
    await turns()
    assert old == [0]
    assert media.waiting == 0


async def test_a_callback_hears_what_becomes_of_a_track(media: MediaSubscribers) -> None:
    got: list[object] = []
    media.register(
        "cam",
        lambda each, sender: got.append(each.timestamp),
        lambda event, sender: got.append((event.kind.name, str(event.error or event.reason))),
    )
    media.described(ALICE, 1, {"cam": "video", "mic": "audio"})
    media.receive(ALICE, frame("cam", 1))
    media.described(ALICE, 1, None)
    media.described(ALICE, 2, {})
    media.described(ALICE, 2, {"cam": "video"})
    media.receive(ALICE, frame("cam", 2))
    media.described(ALICE, 2, {})
    await turns()
    media.described(ALICE, 2, {"cam": "video"})
    await turns()
    media.forget_remote(ALICE, BrokenError("it restarted"))
    await turns()
    assert got == [
        ("BEGAN", ""),
        1,
        ("SUSPENDED", "its wire is gone"),
        ("RESUMED", ""),
        2,
        ("ENDED", "its sender took it away"),
        ("BEGAN", ""),
        ("ENDED", "it restarted"),
    ]


async def test_an_iteration_takes_one_track_of_one_sender_beside_a_callback(
    media: MediaSubscribers,
) -> None:
    got: list[str] = []
    media.register(None, lambda each, sender: got.append(each.track_id))
    track = media.track(ALICE, "cam")
    frames = track.frames()
    first = asyncio.create_task(anext(frames))
    await turns()
    media.receive(BOB, frame("cam", 1))
    media.receive(ALICE, frame("mic", 2))
    media.receive(ALICE, frame("cam", 3))
    assert (await first).timestamp == 3
    assert (await track.stats()).frame_rate == 0
    await frames.aclose()
    await turns()
    assert got == ["cam", "mic", "cam"]


async def test_an_iteration_ends_with_its_track_or_says_what_went_wrong(
    media: MediaSubscribers,
) -> None:
    track = media.track(ALICE, "cam")

    async def take() -> list[int]:
        return [each.timestamp async for each in track]

    for number in range(2):
        taking = asyncio.create_task(take())
        await turns()
        media.described(ALICE, 1, {"cam": "video"})
        assert track.state is TrackState.LIVE
        media.receive(ALICE, frame("cam", number))
        media.described(ALICE, 1, {})
        assert await taking == [number]
    taking = asyncio.create_task(take())
    media.described(ALICE, 1, {"cam": "video"})
    await turns()
    media.forget_remote(ALICE, BrokenError("it restarted"))
    with pytest.raises(BrokenError, match=r"'cam' of .* ended: it restarted"):
        await taking
    assert track.state is None


async def test_who_iterates_late_hears_how_the_track_stands(media: MediaSubscribers) -> None:
    media.described(ALICE, 1, {"cam": "video"})
    media.described(ALICE, 1, None)
    events = media.track(ALICE, "cam").events()
    assert [(await anext(events)).kind.name for _ in range(2)] == ["BEGAN", "SUSPENDED"]
    await events.aclose()


async def test_a_closed_actor_ends_all_iterations(media: MediaSubscribers) -> None:
    taking = asyncio.create_task(anext(media.track(ALICE, "cam").frames()))
    await turns()
    media.close(ClosedError("the actor is closed"))
    for frames in (taking, media.track(ALICE, "cam").frames().__anext__()):
        with pytest.raises(ClosedError):
            await frames


async def test_iterations_over_one_track_have_a_bound(media: MediaSubscribers) -> None:
    track = media.track(ALICE, "cam")
    taking = [asyncio.create_task(anext(track.frames())) for _ in range(MAX_READERS)]
    await turns()
    with pytest.raises(LimitError):
        await anext(track.frames())
    for task in taking:
        task.cancel()
    await asyncio.wait(taking)


async def test_a_track_that_does_not_come_back_ends(
    media: MediaSubscribers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "RESUME_SECONDS", 0.01)
    media.described(ALICE, 1, {"cam": "video"})
    media.described(ALICE, 1, None)
    taking = asyncio.create_task(anext(media.track(ALICE, "cam").frames()))
    await turns()
    media.described(ALICE, 2, {})
    with pytest.raises(StopAsyncIteration):
        await taking


async def test_nothing_is_left_of_a_thousand_tracks(media: MediaSubscribers) -> None:
    media.register(None, lambda each, sender: None, lambda event, sender: None)
    tasks = len(asyncio.all_tasks())
    for number in range(1000):
        track_id = f"call {number}"
        frames = media.track(ALICE, track_id).frames()
        taking = asyncio.create_task(anext(frames))
        await turns(1)
        media.described(ALICE, 1, {track_id: "video"})
        media.receive(ALICE, frame(track_id))
        await taking
        await frames.aclose()
    media.described(ALICE, 1, None)
    media.forget_remote(ALICE, BrokenError("gone"))
    await turns()
    assert len(asyncio.all_tasks()) == tasks
    kept = {name: value for name, value in vars(media).items() if isinstance(value, dict)}
    del kept["_subscriptions"], kept["came"]  # the counts of all, by kind
    assert kept == {name: {} for name in kept}
    assert media.waiting == 0
