"""A track to the own id tells what a track over a wire tells, to whoever takes it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from actr_peer import ActrId, ActrRef, NodeConfig, SampleTrack, Service, System, TrackEvent
from actr_peer.errors import BusyError, ClosedError
from actr_peer.protocol.media.frames import MediaFrame, Sample
from actr_peer.protocol.media.incoming import TrackState
from actr_peer.wire.media.sources import TestPattern, Tone
from peer_kit.signaling import signaling_service

pytestmark = pytest.mark.service

ME, OTHER = ActrId("acme", "one", "1"), ActrId("acme", "two", "1")
KEY, DELTA = b"\x10key", b"\x11delta"


@dataclass
class Met:
    """Who sends, and who takes; the same actor where nothing lies between."""

    sender: ActrRef
    taker: ActrRef

    async def publish(self, source: object) -> object:
        return await self.sender.publish(self.taker.id, source, timeout=20)  # type: ignore[arg-type]


@pytest.fixture(params=["own id", "webrtc"])
async def met(request: pytest.FixtureRequest) -> AsyncIterator[Met]:
    async with signaling_service() as url, AsyncExitStack() as stack, asyncio.timeout(60):
        ids = [ME] if request.param == "own id" else [ME, OTHER]
        nodes = [
            await stack.enter_async_context(
                System(NodeConfig(id=each, signaling_url=url)).attach(Service())
            )
            for each in ids
        ]
        yield Met(nodes[0].ref, nodes[-1].ref)


def camera() -> SampleTrack:
    return SampleTrack("camera", codec="VP8")


async def test_a_callback_hears_of_the_beginning_the_frames_and_the_end_in_order(met: Met) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    def on_frame(frame: MediaFrame, sender: ActrId) -> None:
        assert sender == ME
        heard.put_nowait(frame.data.decode("latin1"))

    def on_event(event: TrackEvent, sender: ActrId) -> None:
        assert (event.remote, event.track_id, event.media) == (ME, "camera", "video")
        assert event.error is None
        heard.put_nowait(event.kind.name)

    met.taker.register_media("camera", on_frame, on_event=on_event)
    for _ in range(2):  # the same id begins again
        track = camera()
        publication = await met.publish(track)
        for number, data in enumerate((KEY, DELTA)):
            await track.send(Sample(data, number * 3000, data is KEY))
        track.end()
        await publication.ended.wait()  # type: ignore[attr-defined]
        told = [await heard.get() for _ in range(4)]
        assert told == ["BEGAN", KEY.decode(), DELTA.decode(), "ENDED"]


async def test_an_iteration_waits_for_the_track_and_ends_with_it(met: Met) -> None:
    track = met.taker.track(ME, "camera")
    assert track.state is None
    taking = asyncio.create_task(collect(track))
    await asyncio.sleep(0)
    source = camera()
    publication = await met.publish(source)
    assert track.state is TrackState.LIVE
    for number in range(3):
        await source.send(Sample(KEY, number * 3000))
    source.end()
    got = await taking
    await publication.ended.wait()  # type: ignore[attr-defined]
    assert [frame.timestamp for frame in got] == [0, 3000, 6000]
    assert [frame.keyframe for frame in got] == [True] * 3
    assert track.state is None


async def collect(track: object) -> list[MediaFrame]:
    return [frame async for frame in track]  # type: ignore[attr-defined]


async def test_a_track_that_is_taken_away_has_ended_for_who_follows_its_events(met: Met) -> None:
    track = met.taker.track(ME, "tone")
    events = track.events()
    first = asyncio.create_task(anext(events))
    await asyncio.sleep(0)
    publication = await met.publish(Tone(track_id="tone"))
    assert (await first).kind is TrackEvent.Kind.BEGAN
    await publication.stop()  # type: ignore[attr-defined]
    last = await anext(events)
    assert (last.kind, last.error) == (TrackEvent.Kind.ENDED, None)
    await events.aclose()


async def test_a_frame_says_when_it_was_taken(met: Met) -> None:
    await met.publish(Tone(track_id="tone"))
    async for frame in met.taker.track(ME, "tone"):
        if frame.sent_at is not None:
            break
    assert abs(time.time() - frame.sent_at) < 5


async def test_two_tracks_of_one_name_are_refused(met: Met) -> None:
    await met.publish(Tone(track_id="tone"))
    with pytest.raises(BusyError):
        await met.publish(Tone(track_id="tone"))


async def test_a_key_frame_that_is_asked_for_reaches_the_source(met: Met) -> None:
    asked = asyncio.Event()
    source = camera()
    await met.publish(source)
    await source.send(Sample(KEY, 0))
    source.on_keyframe = asked.set
    met.taker.track(ME, "camera").request_keyframe()
    await asked.wait()


async def test_a_track_is_decoded_and_recorded(met: Met, tmp_path: Path) -> None:
    path = tmp_path / "film.webm"
    recording = asyncio.create_task(met.taker.record(ME, ["pattern", "tone"], path))
    shown = met.taker.track(ME, "pattern").decoded()
    first = asyncio.create_task(anext(shown))
    await asyncio.sleep(0)
    for source in (
        TestPattern(track_id="pattern", width=64, height=48, fps=30, frames=30),
        Tone(track_id="tone", frames=50),
    ):
        await met.publish(source)
    assert ((await first).width, (await first).height) == (64, 48)
    await shown.aclose()
    report = await recording
    assert report.is_in_step
    with av.open(str(path)) as film:
        assert len(list(film.decode(video=0))) == report.frames["pattern"] > 10
    with av.open(str(path)) as film:
        assert len(list(film.decode(audio=0))) == report.frames["tone"] > 20


async def test_who_iterates_hears_that_its_own_actor_is_closed(met: Met) -> None:
    await met.publish(Tone(track_id="tone"))
    frames = met.taker.track(ME, "tone").frames()
    await anext(frames)
    closing = asyncio.create_task(met.taker.close())
    try:
        async for _ in frames:
            pass
    except ClosedError:
        pass  # or the end of the track, where that is sooner
    await closing
