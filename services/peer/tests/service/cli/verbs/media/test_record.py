"""``actr record`` beside ``actr publish``, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from actr_peer import ActrId, AudioTrack, NodeConfig, Service, System, VideoTrack
from actr_peer.cli.exits import Exit
from actr_peer.wire.media.sources import TestPattern
from peer_kit.place import Place
from peer_kit.webrtc.flashes import Show

pytestmark = pytest.mark.service

SENDER, OWN = "acme:camera@1:default", "acme:recorder@1:default"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    with made.signaling():
        yield made


def test_a_file_of_another_kind_is_a_usage_error(place: Place) -> None:
    done = place.run("record", SENDER, "video", "film.avi")
    assert done.returncode == Exit.USAGE
    assert "a recording is one of .webm, .mkv, .mp4" in done.stderr


def test_a_recording_that_nothing_comes_for_ends_in_time(place: Place) -> None:
    done = place.run("record", SENDER, "video", "film.webm", "--seconds", "0.5", "--json")
    assert done.returncode == Exit.OK, done.stderr
    told = json.loads(done.stdout)
    assert (told["frames"], told["path"]) == ({}, "film.webm")
    assert "waiting for tracks at actr:record@" in done.stderr


async def test_tracks_are_recorded_for_as_long_as_wanted_and_told_of(place: Place) -> None:
    command = ("record", SENDER, "camera", "film.webm", "--id", OWN, "--seconds", "12", "--json")
    recording = asyncio.create_task(asyncio.to_thread(place.run, *command))
    config = NodeConfig(
        id=ActrId.parse(SENDER), signaling_url=place.environment["ACTR_SIGNALING__URL"]
    )
    async with System(config).attach(Service()) as node:
        while not await node.ref.discover("acme:recorder"):
            assert not recording.done()
        pattern = TestPattern(width=160, height=96, fps=30, track_id="camera")
        publication = await node.ref.publish(OWN, pattern, timeout=20)
        done = await recording
        await publication.stop()
    assert done.returncode == Exit.OK, done.stderr
    told = json.loads(done.stdout)
    with av.open(str(place.folder / "film.webm")) as film:
        pictures = [frame.time for frame in film.decode(video=0)]
    assert len(pictures) == told["frames"]["camera"] > 10
    assert told["left_out"] == []


@pytest.mark.parametrize(
    ("number", "codec", "name"),
    [(signal.SIGINT, "VP8", "film.webm"), (signal.SIGTERM, "H264", "film.mp4")],
)
async def test_a_recording_that_is_interrupted_plays(
    place: Place, number: signal.Signals, codec: str, name: str
) -> None:
    config = NodeConfig(
        id=ActrId.parse(SENDER), signaling_url=place.environment["ACTR_SIGNALING__URL"]
    )
    command = ("actr_peer", "record", SENDER, "camera,mic", name, "--id", OWN, "--json")
    with place.process(*command) as recording:
        async with System(config).attach(Service()) as node:
            while not await node.ref.discover("acme:recorder"):
                assert recording.poll() is None
            camera, mic = VideoTrack("camera", codec=codec), AudioTrack("mic")
            for each in (camera, mic):
                await node.ref.publish(OWN, each, timeout=20)
            await Show().perform(camera, mic, 3.0, [])
            recording.send_signal(number)
            out, err = await asyncio.to_thread(recording.communicate, timeout=60)
    assert recording.returncode == Exit.INTERRUPTED, err
    assert "Traceback" not in err
    with av.open(str(place.folder / name)) as film:
        pictures = [frame.time for frame in film.decode(video=0)]
    with av.open(str(place.folder / name)) as film:
        sounds = [frame.time for frame in film.decode(audio=0)]
    assert len(pictures) > 5
    assert len(sounds) > 5
    told = json.loads(out)
    assert told["frames"] == {"camera": len(pictures), "mic": len(sounds)}
