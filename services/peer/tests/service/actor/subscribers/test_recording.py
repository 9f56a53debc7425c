"""Recordings of tracks that come over a real connection, read back with PyAV."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import av
import pytest

from actr_peer import (
    ActrId,
    ActrRef,
    AudioTrack,
    NodeConfig,
    Publication,
    Sample,
    SampleTrack,
    Service,
    System,
    VideoTrack,
    open_media,
)
from actr_peer.actor.subscribers.recording import Recording, RecordingReport
from actr_peer.errors import BrokenError, ConfigError
from actr_peer.protocol.payload import WireKind
from actr_peer.wire.media.sources import TestPattern, Tone
from peer_kit.signaling import signaling_service
from peer_kit.webrtc.flashes import FPS, Show, beeps_of, film, flashes_of

pytestmark = pytest.mark.service

HERE, THERE = ActrId("acme", "sender", "1"), ActrId("acme", "recorder", "1")


@asynccontextmanager
async def meeting() -> AsyncIterator[tuple[ActrRef, ActrRef]]:
    """Who sends, and who records."""
    async with signaling_service() as url:
        configs = [NodeConfig(id=each, signaling_url=url) for each in (HERE, THERE)]
        async with (
            System(configs[0]).attach(Service()) as here,
            System(configs[1]).attach(Service()) as there,
            asyncio.timeout(60),
        ):
            yield here.ref, there.ref


def read(path: Path, kind: str) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(**{kind: 0})]


@pytest.mark.parametrize("suffix", [".webm", ".mkv"])
async def test_picture_and_sound_are_recorded_in_step(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"film{suffix}"
    async with meeting() as (here, there):
        recording = asyncio.create_task(there.record(HERE, ["camera", "mic"], path))
        picture = TestPattern(width=160, height=96, track_id="camera", fps=30, frames=120)
        published = await here.publish(THERE, picture, timeout=20)
        tone = Tone(track_id="mic")
        sound = await here.publish(THERE, tone, timeout=20)
        await published.ended.wait()
        await sound.stop()
        report = await recording
    pictures, sounds = read(path, "video"), read(path, "audio")
    assert len(pictures) == report.frames["camera"]
    assert len(pictures) >= 60
    assert pictures == sorted(pictures)
    assert report.is_in_step
    assert report.left_out == []
    # The sound was taken away when the picture's end was told, which may
    # be a second after its last frame.
    assert -0.5 < sounds[-1] - pictures[-1] < 2.0
    assert min(pictures[0], sounds[0]) < 0.1  # the picture waits for its key frame
    # What the machine was too busy to play in time is left out, and its time stays.
    assert abs((len(sounds) + tone.dropped) * 0.02 - (sounds[-1] - sounds[0])) < 0.5


def offsets(path: Path) -> list[float]:
    """Seconds from each flash of a file to its beep."""
    flashes, beeps = flashes_of(path), beeps_of(path)
    assert len(flashes) == len(beeps)
    return [beep - flash for flash, beep in zip(flashes, beeps, strict=True)]


IN_STEP = 0.04
"""Seconds; who looks and listens notices more."""
TRIES = 3
"""Of a film that a busy machine was late to show."""


@pytest.mark.parametrize(
    ("codecs", "name"),
    [
        (("libvpx", "libopus"), "film.webm"),
        (("libx264", "libopus"), "film.mp4"),
        (("libx264", "libopus"), "film.mkv"),
    ],
)
async def test_a_film_that_is_recorded_flashes_and_beeps_as_the_film_did(
    tmp_path: Path, codecs: tuple[str, str], name: str
) -> None:
    path = tmp_path / name
    source = film(tmp_path / f"source{path.suffix}", codecs, 4.0, [1.5, 2.5, 3.5])
    assert all(abs(each) < IN_STEP for each in offsets(source))
    async with meeting() as (here, there):
        tracks = await open_media(source)
        ids = [each.track_id for each in tracks]
        recording = asyncio.create_task(there.record(HERE, ids, path))
        published = [await here.publish(THERE, each, timeout=20) for each in tracks]
        for each in published:
            await each.ended.wait()
        report = await recording
    assert report.is_in_step
    assert (report.left_out, report.skipped) == ([], 0)
    found = offsets(path)
    assert len(found) == 3
    assert all(abs(each) < IN_STEP for each in found), found
    pictures, sounds = read(path, "video"), read(path, "audio")
    assert [len(pictures), len(sounds)] == [report.frames[each] for each in ids]
    assert len(pictures) == len(read(source, "video")) == 100
    assert len(sounds) == len(read(source, "audio"))
    assert pictures[-1] - pictures[0] == pytest.approx(99 / FPS, abs=0.02)
    assert sounds[-1] - sounds[0] == pytest.approx((len(sounds) - 1) / 50, abs=0.02)
    assert report.seconds == pytest.approx(pictures[-1], abs=0.05)


class Cut(NamedTuple):
    """What a film shows that was recorded over the loss of a wire."""

    wanted: list[float]
    """When it was to flash; the film itself may begin a little later."""
    flashes: list[float]
    beeps: list[float]
    late: float
    """Seconds by which the pushing itself was late."""
    report: RecordingReport

    @property
    def is_in_step(self) -> bool:
        if len(self.flashes) != len(self.beeps):
            return False
        pairs = zip(self.flashes, self.beeps, strict=True)
        return self.report.is_in_step and all(abs(a - b) < IN_STEP for a, b in pairs)

    @property
    def is_whole(self) -> bool:
        wanted, seen = ([b - a for a, b in pairwise(each)] for each in (self.wanted, self.flashes))
        return seen == pytest.approx(wanted, abs=2 * IN_STEP)


async def cut_film(path: Path, codec: str) -> Cut:
    """Flash once, lose the wire, and flash twice more when it is there again."""
    flashes, show = [1.5], Show()
    async with meeting() as (here, there):
        recording = asyncio.create_task(there.record(HERE, ["camera", "mic"], path))
        camera, mic = VideoTrack("camera", codec=codec), AudioTrack("mic")
        for each in (camera, mic):
            await here.publish(THERE, each, timeout=20)
        events = there.track(HERE, "camera").events()
        loop = asyncio.get_running_loop()
        began = loop.time()
        playing = asyncio.create_task(show.perform(camera, mic, 60.0, flashes))
        async for frame in there.track(HERE, "camera"):
            if frame.timestamp > 2.2 * 90_000:
                break
        link = there._assembly.transport.find(HERE)
        assert link is not None
        wire = link.wire(WireKind.WEBRTC)
        assert wire is not None
        wire.abort()
        kinds = [(await anext(events)).kind.name for _ in range(3)]
        assert kinds == ["BEGAN", "SUSPENDED", "RESUMED"]
        await events.aclose()
        # A busy machine takes its time to connect again: the others flash after that.
        again = ceil(loop.time() - began) + 1.5
        flashes += [again, again + 1.5]
        async for frame in there.track(HERE, "camera"):
            if frame.timestamp > (flashes[-1] + 1.0) * 90_000:
                break
        playing.cancel()
        await asyncio.wait([playing])
        camera.end()
        mic.end()
        report = await recording
    return Cut(flashes, flashes_of(path), beeps_of(path), show.late, report)


@pytest.mark.parametrize(("codec", "suffix"), [("H264", ".mp4"), ("VP8", ".webm")])
async def test_what_goes_on_after_a_lost_wire_is_recorded_in_step(
    tmp_path: Path, codec: str, suffix: str
) -> None:
    for number in range(TRIES):
        cut = await cut_film(tmp_path / f"cut{number}{suffix}", codec)
        # Where the camera itself stood still there was nothing to record.
        if (cut.is_in_step and cut.is_whole) or cut.late < IN_STEP:
            break
    assert cut.is_in_step, cut
    assert cut.is_whole, cut


async def test_a_recording_that_is_cancelled_plays(tmp_path: Path) -> None:
    path = tmp_path / "cut.mkv"
    async with meeting() as (here, there):
        recording = asyncio.create_task(there.record(HERE, ["camera"], path))
        await here.publish(THERE, TestPattern(track_id="camera", fps=30), timeout=20)
        taken = 0
        async for _ in there.track(HERE, "camera"):
            taken += 1
            if taken == 120:
                break
        recording.cancel()
        await asyncio.wait([recording])
        assert recording.cancelled()
    assert len(read(path, "video")) > 20


async def test_a_track_that_begins_with_no_picture_ends_the_recording_with_an_error(
    tmp_path: Path,
) -> None:
    async with meeting() as (here, there):
        recording = asyncio.create_task(there.record(HERE, "camera", tmp_path / "film.mkv"))
        track = SampleTrack("camera")
        publication = await here.publish(THERE, track, timeout=20)
        while not recording.done():
            await track.send(Sample(b"\x10\x02", 0))
            if there.track(HERE, "camera").state is not None:
                break
        await asyncio.wait([asyncio.create_task(ended(publication, track)), recording])
        with pytest.raises(BrokenError, match="no picture of VP8"):
            await recording


async def ended(publication: Publication, track: SampleTrack) -> None:
    track.end()
    await publication.ended.wait()


async def test_a_recording_of_nothing_is_told_of_at_once(tmp_path: Path) -> None:
    async with Recording(tmp_path / "film.mkv") as recording:
        with pytest.raises(ConfigError, match="add a track"):
            await recording.finished()


async def test_a_container_that_takes_no_such_codec_is_named_with_one_that_does(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match=r"one of \.webm, \.mkv, \.mp4"):
        Recording(tmp_path / "film.avi")
    async with meeting() as (here, there):
        recording = asyncio.create_task(there.record(HERE, ["camera"], tmp_path / "film.mp4"))
        await here.publish(THERE, TestPattern(track_id="camera", fps=30), timeout=20)
        with pytest.raises(ConfigError, match=r"\.mp4 takes no VP8; take \.webm or \.mkv"):
            await recording
