"""Whatever an application's source is or does costs its own track, with a typed error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from actr_peer.errors import BrokenError, ConfigError, DeadlineError, LimitError
from actr_peer.protocol.media.frames import Sample
from actr_peer.wire.webrtc.source import MAX_TRACK_ID_CHARACTERS, guard


class Source:
    """A good source, until a test takes something away."""

    track_id: Any = "cam"
    kind: Any = "video"
    codec: Any = "VP8"
    requests = 0

    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)

    async def read(self) -> Any:
        return Sample(b"x", 0)

    def request_keyframe(self) -> None:
        self.requests += 1


class Bare:
    track_id = "cam"


class Raising(Source):
    @property
    def codec(self) -> str:  # type: ignore[override]
        raise ValueError("not yet known")


@pytest.mark.parametrize(
    "source",
    [
        None,
        Bare(),
        Raising(),
        Source(track_id=7),
        Source(track_id=""),
        Source(track_id="a\r\na=setup:active"),
        Source(codec=None),
        Source(kind="smell"),
        Source(read=None),
        Source(request_keyframe="no"),
    ],
    ids=lambda source: type(source).__name__,
)
def test_an_object_that_is_no_source_is_a_configuration_error(source: Any) -> None:
    with pytest.raises(ConfigError):
        guard(source)


def test_a_track_id_that_is_too_long_is_refused() -> None:
    with pytest.raises(LimitError):
        guard(Source(track_id="x" * (MAX_TRACK_ID_CHARACTERS + 1)))


def test_a_source_is_fenced_in_once() -> None:
    guarded = guard(Source())
    assert guard(guarded) is guarded
    assert (guarded.track_id, guarded.kind, guarded.codec) == ("cam", "video", "VP8")


def raising(error: BaseException) -> Callable[[], Any]:
    async def read() -> Any:
        raise error

    return read


def giving(value: Any) -> Callable[[], Any]:
    async def read() -> Any:
        return value

    return read


@pytest.mark.parametrize(
    "read",
    [
        raising(ValueError("dry")),
        raising(asyncio.CancelledError()),
        giving(b"a frame?"),
        giving(7),
        giving(Sample("text", 0)),  # type: ignore[arg-type]
        giving(Sample(b"x", None)),  # type: ignore[arg-type]
        lambda: 7,
        lambda: None,
    ],
)
async def test_what_a_source_raises_or_gives_wrong_is_one_typed_error(
    read: Callable[[], Any],
) -> None:
    with pytest.raises(BrokenError, match="the source"):
        await guard(Source(read=read)).read()


async def test_a_typed_error_of_a_source_is_its_own() -> None:
    with pytest.raises(DeadlineError):
        await guard(Source(read=raising(DeadlineError("late")))).read()


async def test_the_end_of_a_source_is_no_failure() -> None:
    assert await guard(Source(read=giving(None))).read() is None


async def test_a_reader_that_is_cancelled_is_cancelled() -> None:
    reading = asyncio.get_running_loop().create_task(
        guard(Source(read=asyncio.Event().wait)).read()
    )
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


def test_a_key_frame_request_that_fails_stays_with_the_source() -> None:
    def fail() -> None:
        raise RuntimeError("no encoder")

    guard(Source(request_keyframe=fail)).request_keyframe()
    source = Source()
    guard(source).request_keyframe()
    assert source.requests == 1


def test_what_a_source_says_of_dropped_frames_is_a_number() -> None:
    assert guard(Source(dropped=3)).dropped == 3
    assert guard(Source(dropped="many")).dropped == guard(Source()).dropped == 0
