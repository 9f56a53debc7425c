"""A media file as sources of encoded frames: passed on as it is where that can be, else encoded.

VP8, H264 without B-frames, and Opus are passed on: nothing is decoded. All else becomes VP8 and
Opus. Each stream has the file open for itself, so one that is slow holds up no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.resampler import AudioResampler
from av.bitstream import BitStreamFilterContext

from actr_peer.errors import BrokenError, ConfigError
from actr_peer.protocol.media.frames import TIMESTAMPS, Sample
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.wire.media.encoders import (
    AUDIO_CLOCK,
    OPUS_FRAME,
    VIDEO_CLOCK,
    VideoEncoder,
    opus_encoder,
)
from actr_peer.wire.media.sources import PacedSource

MAX_BIT_RATE = 8_000_000
BITS_PER_PIXEL = 0.1
"""Of video that is encoded anew: 2.8 Mbit/s for 720p30."""


class FileTrack(PacedSource):
    """One stream of a media file; made by :func:`open_media`.

    When nobody reads, it stops where it is and goes on from there.
    """

    def __init__(self, path: Path, stream: Any, *, track_id: str, speed: float, codec: str) -> None:
        self.kind: TrackKind = stream.type
        self.codec = codec
        self.clock_rate = VIDEO_CLOCK if stream.type == "video" else AUDIO_CLOCK
        super().__init__(track_id=track_id, speed=speed)
        self.path = path
        self._stream_index: int = stream.index
        self._samples: Iterator[tuple[int, Sample]] | None = None

    def _make(self) -> tuple[int, Sample] | None:
        if self._samples is None:
            self._samples = self._read()
        try:
            return next(self._samples, None)
        except (av.FFmpegError, OSError) as exc:
            raise BrokenError(f"{self.path.name}: {exc}") from exc

    def _read(self) -> Iterator[tuple[int, Sample]]:
        with av.open(str(self.path)) as container:
            stream = container.streams[self._stream_index]
            make = self._choose(stream)
            first: int | None = None
            for ticks, data, keyframe in make(container, stream):
                first = ticks if first is None else first
                yield ticks - first, Sample(data, (ticks - first) % TIMESTAMPS, keyframe)

    def _choose(self, stream: Any) -> Callable[[Any, Any], Iterator[tuple[int, bytes, bool]]]:
        if can_pass(stream):
            return self._pass_on
        return self._encode_video if self.kind == "video" else self._encode_audio

    def _pass_on(self, container: Any, stream: Any) -> Iterator[tuple[int, bytes, bool]]:
        """The packets of the file. H264 in an MP4 file has lengths where RTP wants start codes."""
        to_annex_b = None
        if stream.codec_context.name == "h264":
            to_annex_b = BitStreamFilterContext("h264_mp4toannexb", stream)
        for packet in container.demux(stream):
            if packet.pts is None:
                continue  # the end
            for part in to_annex_b.filter(packet) if to_annex_b else (packet,):
                ticks = _ticks(part.pts or 0, stream.time_base, self.clock_rate)
                yield ticks, bytes(part), bool(part.is_keyframe) or self.kind == "audio"

    def _encode_video(self, container: Any, stream: Any) -> Iterator[tuple[int, bytes, bool]]:
        encoder: VideoEncoder | None = None
        for number, frame in enumerate(container.decode(stream)):
            if encoder is None:
                width, height = frame.width & ~1, frame.height & ~1
                rate = stream.average_rate or Fraction(30)
                bits = int(min(MAX_BIT_RATE, width * height * float(rate) * BITS_PER_PIXEL))
                encoder = VideoEncoder(width, height, rate, bits)
            ticks = _ticks(frame.pts, frame.time_base, self.clock_rate)
            frame = frame.reformat(width=width, height=height, format="yuv420p")
            frame.pts, frame.time_base = ticks, Fraction(1, self.clock_rate)
            wanted, self._is_keyframe_wanted = self._is_keyframe_wanted, False
            packet = encoder.encode(frame, keyframe=wanted or number == 0)
            if packet is None:
                self.dropped += 1
            else:
                yield ticks, bytes(packet), packet.is_keyframe

    def _encode_audio(self, container: Any, stream: Any) -> Iterator[tuple[int, bytes, bool]]:
        resampler = AudioResampler("s16", "stereo", AUDIO_CLOCK, frame_size=OPUS_FRAME)
        encoder = opus_encoder()
        at = 0
        for frame in container.decode(stream):
            frame.pts = None
            for part in resampler.resample(frame):
                part.pts, part.time_base = at, Fraction(1, AUDIO_CLOCK)
                for packet in encoder.encode(part):
                    yield at, bytes(packet), True
                at += part.samples


def can_pass(stream: Any) -> bool:
    """Whether the stream's packets can go out as they are."""
    context = stream.codec_context
    match context.name:
        case "vp8" | "libvpx" | "opus" | "libopus":
            return True
        case "h264":
            # Their order of decoding differs from that of showing, which RTP receivers
            # of WebRTC do not expect (RFC 7742 asks for the constrained baseline profile).
            return not context.has_b_frames
        case _:
            return False


def _ticks(pts: int, time_base: Fraction, clock_rate: int) -> int:
    return int(pts * time_base * clock_rate)


async def open_media(path: Path | str, *, speed: float = 1.0) -> list[FileTrack]:
    """Sources for the first video and the first audio stream of a file, in this order.

    Their track ids are the file's name and the kind. ``speed`` is that of ``PacedSource``.

    Raises:
        ConfigError: If the file cannot be read, or has neither.
    """
    return await asyncio.get_running_loop().run_in_executor(None, _open, Path(path), speed)


def _open(path: Path, speed: float) -> list[FileTrack]:
    try:
        with av.open(str(path)) as container:
            streams = [*container.streams.video[:1], *container.streams.audio[:1]]
            tracks = [
                FileTrack(
                    path,
                    stream,
                    track_id=f"{path.name}/{stream.type}",
                    speed=speed,
                    codec=_codec(stream),
                )
                for stream in streams
            ]
    except (av.FFmpegError, OSError) as exc:
        raise ConfigError(f"media file {path}: {exc}; give a file that FFmpeg can read") from exc
    if not tracks:
        raise ConfigError(f"media file {path}: it has neither video nor sound")
    return tracks


def _codec(stream: Any) -> str:
    if can_pass(stream) and stream.codec_context.name == "h264":
        return "H264"
    return "VP8" if stream.type == "video" else "opus"
