"""What waits for a taker: bounded, in order, and decodable after a drop."""

from __future__ import annotations

import asyncio

import pytest

from actr_peer.actor.subscribers.frames import (
    ASK_EVERY,
    QUEUE,
    QUEUE_BYTES,
    QUEUE_EVENTS,
    FrameQueue,
    Reader,
)
from actr_peer.errors import ClosedError
from actr_peer.protocol.media.frames import MediaFrame
from actr_peer.protocol.media.incoming import TrackEvent
from actr_peer.protocol.webrtc.negotiation import TrackKind
from peer_kit.fakes import ALICE, turns


def frame(
    number: int, *, keyframe: bool = False, kind: TrackKind = "video", size: int = 1
) -> MediaFrame:
    return MediaFrame(bytes(size), number, "VP8", kind, "cam", keyframe, number, number)


def event(kind: TrackEvent.Kind = TrackEvent.Kind.BEGAN) -> TrackEvent:
    return TrackEvent(kind, ALICE, "cam", "video")


def taken(queue: FrameQueue) -> list[object]:
    items = [queue.take() for _ in range(len(queue))]
    return [i.timestamp if isinstance(i, MediaFrame) else i.kind.name for i in items]


def test_after_a_drop_a_video_goes_on_with_a_key_frame() -> None:
    queue = FrameQueue()
    queue.put(frame(0, keyframe=True))
    asked = [queue.put(frame(number)) for number in range(1, QUEUE + 3)]
    assert asked.count(True) == 2  # when it dropped, and for the first that came after
    assert not queue
    assert queue.dropped == QUEUE + 3
    assert not queue.put(frame(100, keyframe=True))
    queue.put(frame(101))
    assert taken(queue) == [100, 101]


def test_a_drop_goes_on_to_the_next_key_frame_that_waits() -> None:
    queue = FrameQueue()
    for number in range(QUEUE + 1):
        assert not queue.put(frame(number, keyframe=number in (0, 10)))
    assert taken(queue)[0] == 10
    assert queue.dropped == 10


def test_sound_loses_the_oldest_alone() -> None:
    queue = FrameQueue()
    for number in range(QUEUE + 2):
        assert not queue.put(frame(number, kind="audio", keyframe=True))
    assert taken(queue) == list(range(2, QUEUE + 2))


def test_large_frames_have_a_bound_of_their_own() -> None:
    queue = FrameQueue()
    for number in range(3):
        queue.put(frame(number, keyframe=True, size=QUEUE_BYTES - 1))
    assert taken(queue) == [2]
    assert queue.dropped == 2


def test_while_no_key_frame_comes_it_is_asked_for_again() -> None:
    queue = FrameQueue(from_keyframe=True)
    asked = [queue.put(frame(number)) for number in range(2 * ASK_EVERY)]
    assert [number for number, is_asked in enumerate(asked) if is_asked] == [0, ASK_EVERY]


def test_events_keep_their_place_and_are_not_dropped_with_frames() -> None:
    queue = FrameQueue()
    queue.tell(event())
    queue.put(frame(0, keyframe=True))
    queue.tell(event(TrackEvent.Kind.SUSPENDED))
    for number in range(1, QUEUE + 1):
        queue.put(frame(number, keyframe=True))
    assert taken(queue)[:3] == ["BEGAN", "SUSPENDED", 1]


def test_events_that_nobody_takes_have_a_bound() -> None:
    queue = FrameQueue()
    queue.put(frame(0, keyframe=True))
    for _ in range(QUEUE_EVENTS + 5):
        queue.tell(event())
    assert len(queue) == QUEUE_EVENTS + 1


def test_a_video_that_resumes_goes_on_with_a_key_frame() -> None:
    queue = FrameQueue()
    queue.put(frame(0, keyframe=True))
    queue.tell(event(TrackEvent.Kind.RESUMED))
    assert queue.put(frame(1))
    queue.put(frame(2, keyframe=True))
    assert taken(queue) == [0, "RESUMED", 2]


async def test_a_reader_gives_what_came_and_then_says_why_no_more_does() -> None:
    reader = Reader(takes_frames=True)
    waiting = asyncio.create_task(reader.next())
    await turns()
    reader.put(frame(0, keyframe=True))
    reader.put(frame(1))
    reader.fail(ClosedError("the actor is closed"))
    assert await waiting == frame(0, keyframe=True)
    assert await reader.next() == frame(1)
    with pytest.raises(ClosedError):
        await reader.next()


async def test_a_reader_of_events_takes_no_frames() -> None:
    reader = Reader(takes_frames=False)
    reader.put(frame(0, keyframe=True))
    reader.tell(event())
    assert await reader.next() == event()
