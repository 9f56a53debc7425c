"""Recordings of tracks that come over a real connection, read back with PyAV."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import pytest

from actr_peer import ActrId, ActrRef, NodeConfig, Service, System
from actr_peer.actor.subscribers.recording import Recording
from actr_peer.errors import ConfigError
from actr_peer.wire.media.sources import TestPattern, Tone
from peer_kit.signaling import signaling_service

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
        sound = await here.publish(THERE, Tone(track_id="mic"), timeout=20)
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
    assert abs(len(sounds) * 0.02 - (sounds[-1] - sounds[0])) < 0.5


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
