from __future__ import annotations

import asyncio
import threading
from fractions import Fraction
from typing import Any

import av
import pytest

from actr_peer.errors import BrokenError, ClosedError, ConfigError
from actr_peer.protocol.media.frames import Sample, is_keyframe
from actr_peer.wire.media.pictures import MAX_SIDE, VideoTrack
from actr_peer.wire.media.sources import picture
from peer_kit.fakes import turns


def frame(number: int, width: int = 64, height: int = 48) -> av.VideoFrame:
    made = picture(width, height, number)
    made.pts, made.time_base = number, Fraction(1, 30)
    return made


async def encoded(track: VideoTrack, pictures: list[Any], **shape: Any) -> list[Sample]:
    samples = []
    for each in pictures:
        assert await track.send(each, **shape)
        sample = await track.read()
        assert sample is not None
        samples.append(sample)
    track.end()
    assert await track.read() is None
    return samples


@pytest.mark.parametrize(("codec", "decoder"), [("VP8", "vp8"), ("H264", "h264")])
async def test_pictures_become_frames_of_the_codec_that_decode(codec: str, decoder: str) -> None:
    samples = await encoded(VideoTrack("cam", codec=codec), [frame(n) for n in range(5)])
    assert [sample.timestamp for sample in samples] == [n * 3000 for n in range(5)]
    assert [sample.keyframe for sample in samples] == [True] + 4 * [False]
    assert is_keyframe(codec, samples[0].data)
    context = av.CodecContext.create(decoder, "r")
    shown = [made for s in samples for made in context.decode(av.Packet(s.data))]  # type: ignore[attr-defined]
    shown += context.decode(None)  # type: ignore[attr-defined]
    assert [(made.width, made.height) for made in shown] == [(64, 48)] * 5


async def test_bytes_of_planes_are_a_picture() -> None:
    data = bytes(64 * 48) + bytes([128]) * (32 * 24 * 2)
    samples = await encoded(VideoTrack("cam"), [data] * 2, width=64, height=48)
    assert samples[1].timestamp > samples[0].timestamp


async def test_bytes_of_a_packed_format_are_a_picture() -> None:
    await encoded(VideoTrack("cam"), [bytes(66 * 48 * 3)], width=66, height=48, format="rgb24")


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (b"too few", {"width": 64, "height": 48}),
        (bytes(64 * 48 * 3), {"width": 64, "height": 48}),
        (b"", {}),
        (b"", {"width": 63, "height": 48}),
        (b"", {"width": 64, "height": 48, "format": "no such"}),
        ("text", {"width": 64, "height": 48}),
    ],
)
async def test_what_is_no_picture_is_refused_with_a_reason(
    data: Any, shape: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="no picture"):
        await VideoTrack("cam").send(data, **shape)


async def test_a_key_frame_comes_when_asked_for() -> None:
    track = VideoTrack("cam")
    kinds = []
    for number in range(4):
        if number == 2:
            track.request_keyframe()
        await track.send(frame(number))
        sample = await track.read()
        kinds.append(sample is not None and sample.keyframe)
    assert kinds == [True, False, True, False]


async def test_the_encoder_follows_the_estimate_between_its_bounds() -> None:
    track = VideoTrack("cam", bitrate=500_000, min_bitrate=200_000, max_bitrate=800_000)
    await track.send(frame(0))
    await track.read()
    for estimate, kept in ((50_000, 200_000), (600_000, 510_000), (5_000_000, 800_000)):
        track.bitrate_estimated(estimate)
        await track.send(frame(1))
        await track.read()
        assert track._encoder is not None
        assert track._encoder.bit_rate == track.bitrate == kept


async def test_a_change_that_is_small_is_not_worth_a_key_frame() -> None:
    track = VideoTrack("cam", bitrate=500_000)
    await track.send(frame(0))
    await track.read()
    track.bitrate_estimated(510_000 / 0.85)
    await track.send(frame(1))
    sample = await track.read()
    assert sample is not None
    assert not sample.keyframe


async def test_live_pictures_that_nobody_takes_are_dropped_oldest_first() -> None:
    track = VideoTrack("cam")
    taken = [await track.send(frame(n)) for n in range(5)]
    assert taken == [True, True, False, False, False]
    assert track.dropped == 3
    sample = await track.read()
    assert sample is not None
    assert sample.timestamp == 3 * 3000


async def test_pictures_that_must_all_be_sent_wait() -> None:
    track = VideoTrack("cam", live=False)
    for number in range(2):
        await track.send(frame(number))
    sending = asyncio.gather(track.send(frame(2)))
    await turns(3)
    assert not sending.done()
    await track.read()
    await sending
    sending = asyncio.gather(track.send(frame(3)))
    await turns(3)
    track.end()
    with pytest.raises(ClosedError):
        await sending


async def test_a_read_that_is_cancelled_loses_no_picture() -> None:
    track = VideoTrack("cam")
    await track.send(frame(0))
    reading = asyncio.gather(track.read())
    await turns(2)
    reading.cancel()
    await asyncio.wait([reading])
    sample = await track.read()
    assert sample is not None
    assert sample.timestamp == 0


async def test_a_picture_that_cannot_be_encoded_fails_the_track(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    track = VideoTrack("cam")
    await track.send(frame(0))
    await track.read()

    def fail(*_: object, **__: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr(track._encoder, "encode", fail)
    await track.send(frame(1))
    with pytest.raises(BrokenError, match="cam"):
        await track.read()


async def test_another_size_goes_on_with_a_key_frame() -> None:
    track = VideoTrack("cam")
    for size in ((64, 48), (128, 96)):
        await track.send(frame(size[0], *size))
        sample = await track.read()
        assert sample is not None
        assert sample.keyframe or track._encoder is not None
        assert track._encoder is not None
        assert (track._encoder.width, track._encoder.height) == size


async def test_the_thread_of_the_encoder_ends_with_the_track() -> None:
    await encoded(VideoTrack("the cam"), [frame(0)])
    for thread in threading.enumerate():
        if thread.name.startswith("encode/the cam"):
            await asyncio.to_thread(thread.join)


@pytest.mark.parametrize(
    "bounds", [{"codec": "AV1"}, {"bitrate": 50_000}, {"bitrate": 200_000, "max_bitrate": 150_000}]
)
def test_what_cannot_be_encoded_is_refused_at_once(bounds: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        VideoTrack("cam", **bounds)


@pytest.mark.parametrize("size", [(1, 1), (64, 1), (MAX_SIDE + 2, 64)])
async def test_a_picture_that_no_codec_takes_is_refused_and_the_track_goes_on(
    size: tuple[int, int],
) -> None:
    track = VideoTrack("screen")
    with pytest.raises(ConfigError, match="pixels a side"):
        await track.send(av.VideoFrame(*size, "yuv420p"))
    assert await track.send(av.VideoFrame(64, 48, "yuv420p"))
