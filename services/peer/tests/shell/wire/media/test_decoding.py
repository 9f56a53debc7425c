"""Decoders of frames that hostile senders make: bounded, and good again afterwards."""

from __future__ import annotations

import struct

import pytest

from actr_peer.protocol.media.frames import MediaFrame, Sample, is_keyframe
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.wire.media import decoding
from actr_peer.wire.media.decoding import Decoder
from actr_peer.wire.media.sources import TestPattern, Tone

pytestmark = pytest.mark.service  # it has PyAV decode, in threads


def frames(codec: str, kind: TrackKind, samples: list[Sample]) -> list[MediaFrame]:
    """As they come, one packet each."""
    return [
        MediaFrame(
            data=each.data,
            timestamp=each.timestamp,
            codec=codec,
            kind=kind,
            track_id="x",
            keyframe=is_keyframe(codec, each.data),
            first_sequence=number,
            last_sequence=number,
        )
        for number, each in enumerate(samples)
    ]


async def taken(source: TestPattern | Tone, count: int) -> list[Sample]:
    made = []
    for _ in range(count):
        sample = await source.read()
        assert sample is not None
        made.append(sample)
    return made


def picture(width: int, height: int) -> bytes:
    """The head of a VP8 key frame, and nothing behind it."""
    return b"\x10\x02\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(100)


async def test_sound_goes_on_behind_an_empty_frame() -> None:
    samples = await taken(Tone(track_id="x"), 4)
    samples.insert(2, Sample(b"", samples[1].timestamp))
    decoder, shown = Decoder(lambda: None), []
    for frame in frames("opus", "audio", samples):
        shown += await decoder.decode(frame)
    assert len(shown) == 4


async def test_a_picture_that_would_take_a_gigabyte_is_not_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []
    decoder = Decoder(lambda: asked.append(True))
    seen: list[MediaFrame] = []
    run = decoder._run
    monkeypatch.setattr(decoder, "_run", lambda frame: seen.append(frame) or run(frame))  # type: ignore[func-returns-value]
    good = await taken(TestPattern(width=64, height=48, track_id="x", fps=200), 2)
    bombs = [Sample(picture(16383, 16383), 0), Sample(b"\x10", 1), Sample(picture(0, 64), 2)]
    shown = []
    for frame in frames("VP8", "video", [*bombs, *good]):
        shown += await decoder.decode(frame)
    assert [frame.data for frame in seen] == [sample.data for sample in good]
    assert len(shown) == 2


async def test_a_picture_of_h264_is_bounded_by_the_decoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fractions import Fraction

    import av

    from actr_peer.wire.media.encoders import VideoEncoder

    encoder = VideoEncoder(320, 240, Fraction(30), 500_000, codec="H264")
    packet = encoder.encode(av.VideoFrame(320, 240, "yuv420p"), keyframe=True)
    assert packet is not None
    (frame,) = frames("H264", "video", [Sample(bytes(packet), 0)])
    assert len(await Decoder(lambda: None).decode(frame)) == 1
    monkeypatch.setattr(decoding, "MAX_PIXELS", 320 * 100)
    assert await Decoder(lambda: None).decode(frame) == []
