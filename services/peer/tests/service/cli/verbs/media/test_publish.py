"""``actr publish`` to a room in a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from actr_peer import ActrId, MediaFrame, NodeConfig, Service, System, TrackEvent
from actr_peer.cli.exits import Exit
from actr_peer.wire.media.sources import picture
from peer_kit.place import ROOM, Place

pytestmark = pytest.mark.service


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    with made.signaling():
        yield made


def clip(path: Path) -> Path:
    """A third of a second of VP8."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libvpx", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"  # type: ignore[union-attr]
        for number in range(10):
            frame = picture(64, 48, number)
            frame.pts, frame.time_base = number, Fraction(1, 30)
            file.mux(stream.encode(frame))  # type: ignore[union-attr]
        file.mux(stream.encode(None))  # type: ignore[union-attr]
    return path


def test_a_file_is_published_as_often_as_asked_and_told_of(place: Place) -> None:
    path = clip(place.folder / "clip.webm")
    with place.room():
        done = place.run("publish", str(path), ROOM, "--loops", "2", "--json")
    assert done.returncode == Exit.OK, done.stderr
    told = json.loads(done.stdout)
    (track,) = told["tracks"]
    assert (track["kind"], track["codec"]) == ("video", "VP8")
    assert track["frames"] + track["dropped"] == 20
    assert track["packets"] >= track["frames"]
    assert "frames" in done.stderr


def test_a_file_that_is_none_is_a_usage_error(place: Place) -> None:
    done = place.run("publish", str(place.folder / "none.webm"), ROOM)
    assert done.returncode == Exit.USAGE
    assert "give a file that FFmpeg can read" in done.stderr


def test_an_actor_that_is_not_there_is_said(place: Place) -> None:
    path = clip(place.folder / "clip.webm")
    done = place.run("publish", str(path), ROOM, "--timeout", "1")
    assert done.returncode not in (Exit.OK, Exit.USAGE)
    assert done.stderr.splitlines()[-1].startswith("actr: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_file_that_is_interrupted_is_taken_away_in_good_order(
    place: Place, number: signal.Signals
) -> None:
    path = clip(place.folder / "clip.webm")
    own = ActrId("acme", "viewer", "1")
    config = NodeConfig(id=own, signaling_url=place.environment["ACTR_SIGNALING__URL"])
    events: asyncio.Queue[TrackEvent] = asyncio.Queue()
    frames: asyncio.Queue[MediaFrame] = asyncio.Queue()
    async with System(config).attach(Service()) as node, asyncio.timeout(60):
        node.ref.register_media(
            None,
            lambda frame, sender: frames.put_nowait(frame),
            on_event=lambda event, sender: events.put_nowait(event),
        )
        command = ("actr_peer", "publish", str(path), str(own), "--loops", "0")
        with place.process(*command) as publishing:
            for _ in range(25):
                await frames.get()
            publishing.send_signal(number)
            _, err = await asyncio.to_thread(publishing.communicate, timeout=60)
        assert publishing.returncode == Exit.INTERRUPTED, err
        assert "Traceback" not in err
        told = [await events.get()]
        while told[-1].kind.name != "ENDED":  # a busy machine may lose the wire meanwhile
            told.append(await events.get())
    assert told[0].kind.name == "BEGAN"
    assert told[-1].error is None
