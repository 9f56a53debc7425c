"""The examples of docs/streams.md, docs/files.md and docs/media.md, run as they stand there."""

from __future__ import annotations

import ast
import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import pytest

from actr_peer import ActrId, ActrRef, NodeConfig, Service, System, TrackEvent
from actr_peer.errors import CallError, Code, StreamFailedError
from actr_peer.wire.media.sources import TestPattern, Tone
from peer_kit import block
from peer_kit.links import eventually
from peer_kit.signaling import signaling_service
from peer_kit.webrtc.flashes import film, picture

pytestmark = pytest.mark.service

PATIENCE = 60.0
ROOM, SHELF = ActrId("acme", "room", "1"), ActrId("acme", "shelf", "1")
STAGE, CAMERA = ActrId("acme", "room", "2"), ActrId("acme", "camera", "1")


async def run(example: str, **names: Any) -> dict[str, Any]:
    """Run a block that awaits where it likes; returns the names that it has then."""
    code = compile(example, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)
    if inspect.isawaitable(result):
        await result
    return names


@asynccontextmanager
async def actors(*ids: ActrId) -> AsyncIterator[list[ActrRef]]:
    """Each a node of its own."""
    async with signaling_service() as url, asyncio.timeout(PATIENCE):
        nodes = [System(NodeConfig(id=each, signaling_url=url)).attach(Service()) for each in ids]
        try:
            yield [await node.start() for node in nodes]
        finally:
            for node in nodes:
                await node.close()


async def readings(*, fails: bool = False) -> AsyncIterator[bytes]:
    """A sensor."""
    for number in range(3):
        yield b"%d" % number
    if fails:
        raise CallError(Code.ABORTED, "the sensor broke")


async def test_the_streams_of_docs_streams_md_are_sent_and_taken_by_iterating() -> None:
    send = block("docs/streams.md", "async with ref.stream(")
    iterate = block("docs/streams.md", "async with ref.incoming(")
    said: list[tuple[object, ...]] = []
    async with actors(CAMERA, ROOM) as (camera, room):
        taking = asyncio.create_task(
            run(
                iterate,
                ref=room,
                StreamFailedError=StreamFailedError,
                print=lambda *words: said.append(words),
            )
        )
        await asyncio.sleep(0)
        await run(send, ref=camera, sensor=readings())
        with pytest.raises(CallError):
            await run(send, ref=camera, sensor=readings(fails=True))
        await eventually(lambda: len(said) == 7)
        taking.cancel()
    items = [(CAMERA, number, b"%d" % number, {"unit": "K"}) for number in range(3)]
    assert said[:3] == said[3:6] == items
    assert said[6][:2] == ("not the whole of it, up to", 2)
    assert isinstance(said[6][2], CallError)


async def test_the_streams_of_docs_streams_md_are_taken_by_callback() -> None:
    send = block("docs/streams.md", "async with ref.stream(")
    register = block("docs/streams.md", "unregister = ")
    came: list[bytes] = []
    ends: list[int] = []
    async with actors(CAMERA, ROOM) as (camera, room):
        names = await run(
            register,
            ref=room,
            take=lambda chunk, sender: came.append(chunk.data),
            ended=lambda end, sender: ends.append(end.last_sequence),
        )
        await run(send, ref=camera, sensor=readings())
        await eventually(lambda: len(ends) == 1)
        names["unregister"]()
    assert (came, ends) == ([b"0", b"1", b"2"], [2])


async def test_the_file_of_docs_files_md_is_sent_and_received(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = block("docs/files.md", "from actr_peer import ExistingFile")
    receive, _, send = example.partition("sent = ")
    monkeypatch.chdir(tmp_path)
    inbox, film_sent = tmp_path / "inbox", bytes(range(256)) * 10_000
    await asyncio.to_thread((tmp_path / "holiday.mkv").write_bytes, film_sent)
    received: list[tuple[object, ...]] = []
    progress: list[tuple[object, ...]] = []
    async with actors(CAMERA, SHELF) as (camera, shelf):
        receiving = asyncio.create_task(
            run(receive, ref=shelf, print=lambda *words: received.append(words))
        )
        await eventually(inbox.is_dir)
        names = await run(
            "sent = " + send, other=camera, print=lambda *words: progress.append(words)
        )
        assert not receiving.done(), "it receives until its actor ends"
    await receiving
    assert await asyncio.to_thread((inbox / "holiday.mkv").read_bytes) == film_sent
    assert [digest for _, digest in received] == [names["sent"].digest]
    assert progress


async def test_the_tracks_of_docs_media_md_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = block("docs/media.md", "from actr_peer import Sample,")
    register = block("docs/media.md", "def on_frame")
    monkeypatch.chdir(tmp_path)
    film(Path("film.mp4"), ("libx264", "libopus"), 1.0, [])
    seen: set[str] = set()
    async with actors(CAMERA, STAGE) as (camera, stage):
        await run(register, ref=stage)
        stage.register_media(None, lambda frame, sender: seen.add(frame.track_id))
        await run(
            publish,
            ref=camera,
            data=b"\0\0\0\1\x65" + bytes(100),
            timestamp=0,
            keyframe=True,
            picture=picture(0.0, []),
        )
        await eventually(lambda: {"pattern", "screen"} <= seen)


async def show(camera: ActrRef) -> None:
    """Publish a picture and a sound of two seconds."""
    async with asyncio.TaskGroup() as both:
        for source in (
            TestPattern(width=160, height=96, track_id="camera", frames=60),
            Tone(track_id="mic", frames=100),
        ):
            publication = await camera.publish(STAGE, source)
            both.create_task(publication.ended.wait())


async def test_a_track_of_docs_media_md_is_iterated_over_and_its_end_is_told() -> None:
    iterate = block("docs/media.md", "track = ref.track(")
    follow = block("docs/media.md", "async for event in")
    told: list[tuple[object, ...]] = []
    async with actors(CAMERA, STAGE) as (camera, stage), asyncio.TaskGroup() as beside:
        track = stage.track(CAMERA, "camera")
        say = lambda *words: told.append(words)  # noqa: E731  in place of print
        beside.create_task(run(follow, track=track, TrackEvent=TrackEvent, print=say))
        beside.create_task(show(camera))
        names = await run(iterate, ref=stage, asyncio=asyncio)
    assert names["frame"].track_id == "camera"
    assert names["stats"].frames > 0
    assert [error for _, error in told] == [None]


async def test_the_tracks_of_docs_media_md_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = block("docs/media.md", "from actr_peer import Recording")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"one": CAMERA, "other": CAMERA}
    async with actors(CAMERA, STAGE) as (camera, stage):
        for part in example.split("\n\n"):  # the import, and the two ways
            async with asyncio.TaskGroup() as beside:
                if "await" in part:
                    beside.create_task(show(camera))
                names = await run(part, **(names | {"ref": stage}))
            assert "report" not in names or names["report"].frames["camera"] > 0
    for name in ("film.mkv", "film.webm"):
        with av.open(name) as container:
            assert {stream.type for stream in container.streams} == {"video", "audio"}
