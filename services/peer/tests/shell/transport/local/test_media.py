"""Tracks to the own id: whole frames in order, key-frame requests, and every end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping

import pytest

from actr_peer.errors import BrokenError, ClosedError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media.frames import MediaFrame, Sample
from actr_peer.tasks import Tasks
from actr_peer.transport.local.media import LoopTracks
from actr_peer.transport.publications import PublicationState, TrackLane

ME = ActrId("acme", "ada", "1")
KEY = b"\x00\x00\x00\x9d\x01\x2a"
"""How a key frame of VP8 begins."""


class Source:
    track_id, kind, codec = "camera", "video", "VP8"

    def __init__(self, *data: bytes, ends: bool = True, error: Exception | None = None) -> None:
        self.samples = [Sample(one, (1 << 32) + 90 * at) for at, one in enumerate(data)]
        self.ends = ends
        self.error = error
        self.asked = 0

    async def read(self) -> Sample | None:
        if self.samples:
            return self.samples.pop(0)
        if self.error is not None:
            raise self.error
        if not self.ends:
            await asyncio.Event().wait()
        return None

    def request_keyframe(self) -> None:
        self.asked += 1


class Own:
    def __init__(self, tasks: Tasks) -> None:
        self.frames: list[MediaFrame] = []
        self.told: list[Mapping[str, str] | None] = []
        self.tracks = LoopTracks(tasks, self.frames.append, self.told.append)
        self.lane = TrackLane(ME)
        self.lane.wire_ready(self.tracks)  # type: ignore[arg-type]


@pytest.fixture
async def own() -> AsyncIterator[Own]:
    async with Tasks("test") as tasks:
        yield Own(tasks)


async def test_frames_arrive_whole_and_in_order_and_the_track_ends_with_its_source(
    own: Own,
) -> None:
    publication = await own.lane.send(Source(KEY, b"\x01delta"))
    await publication.ended.wait()
    assert [frame.data for frame in own.frames] == [KEY, b"\x01delta"]
    assert [frame.keyframe for frame in own.frames] == [True, False]
    assert [frame.timestamp for frame in own.frames] == [0, 90]
    assert [frame.first_sequence for frame in own.frames] == [0, 1]
    assert (own.frames[0].codec, own.frames[0].track_id) == ("VP8", "camera")
    assert publication.error is None
    assert len(own.tracks) == len(own.lane.tracks()) == 0
    assert own.told == [{"camera": "video"}, {}, None]
    ages = [time.time() - (frame.sent_at or 0.0) for frame in own.frames]
    assert all(-1 < age < 20 for age in ages)


async def test_a_request_for_a_key_frame_reaches_the_source_of_that_track(own: Own) -> None:
    source = Source(KEY, ends=False)
    publication = await own.lane.send(source)
    own.tracks.request_keyframe("camera")
    own.tracks.request_keyframe("another")
    assert source.asked == 1
    await publication.stop()
    own.tracks.request_keyframe("camera")
    assert source.asked == 1
    assert len(own.tracks) == 0


async def test_a_source_that_fails_ends_its_track_with_why(own: Own) -> None:
    publication = await own.lane.send(Source(KEY, error=ZeroDivisionError()))
    await publication.ended.wait()
    assert isinstance(publication.error, BrokenError)
    assert len(own.tracks) == 0


async def test_at_the_end_of_the_actor_tracks_end_and_none_begins(own: Own) -> None:
    publication = await own.lane.send(Source(KEY, ends=False))
    await own.lane.close()
    own.tracks.close()
    own.tracks.close()
    assert publication.state is PublicationState.ENDED
    with pytest.raises(ClosedError):
        await own.lane.send(Source(KEY))
    settled: list[object] = []
    own.tracks.publish_soon(Source(KEY), settled.append)
    assert [type(outcome) for outcome in settled] == [BrokenError]


async def test_a_track_to_the_own_id_has_no_packets_to_count(own: Own) -> None:
    publication = await own.lane.send(Source(KEY))
    assert publication.stats() is None
    await publication.ended.wait()


async def test_tracks_that_come_and_go_leave_nothing(own: Own) -> None:
    before = len(asyncio.all_tasks())
    for _ in range(1000):
        publication = await own.lane.send(Source(KEY))
        await publication.ended.wait()
    assert len(own.frames) == 1000
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before
    assert len(own.tracks) == len(own.lane.tracks()) == 0
