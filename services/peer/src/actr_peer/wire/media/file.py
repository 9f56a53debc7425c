"""A media file as sources of encoded frames: passed on as it is where that can be, else encoded.

VP8, H264 without B-frames, and Opus are passed on: nothing is decoded. All else becomes VP8 and
Opus. Each stream has the file open for itself, so one that is slow holds up no other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.resampler import AudioResampler
from av.bitstream import BitStreamFilterContext

from actr_peer.errors import BrokenError, ConfigError
from actr_peer.protocol.media.frames import AUDIO_CLOCK, TIMESTAMPS, VIDEO_CLOCK, Sample
from actr_peer.protocol.media.playback import Place, Playback
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.wire.media.encoders import OPUS_FRAME, VideoEncoder, opus_encoder
from actr_peer.wire.media.sources import PacedSource

MAX_BIT_RATE = 8_000_000
BITS_PER_PIXEL = 0.1
"""Of video that is encoded anew: 2.8 Mbit/s for 720p30."""


class FileTrack(PacedSource):
    """One stream of a media file; made by :func:`open_media`.

    The tracks of one file stay in step: when none is read, the file stands still where it is; one
    that is read later than another, or again, hurries after it, and leaves out what is more than
    5 s behind.

    Args:
        start: Seconds at which the file's first track begins.
        playback: The time that the tracks of the file share.
    """

    def __init__(
        self, path: Path, stream: Any, *, track_id: str, start: Fraction, playback: Playback
    ) -> None:
        self.kind: TrackKind = stream.type
        self.codec = _codec(stream)
        speed = playback.speed
        self.clock_rate = VIDEO_CLOCK if stream.type == "video" else AUDIO_CLOCK
        super().__init__(track_id=track_id, speed=speed)
        self.path = path
        self._stream_index: int = stream.index
        self._start = _ticks(1, start, self.clock_rate)
        self._place = Place(playback)
        self._leaves_out = False
        self._samples: Iterator[tuple[int, Sample]] | None = None

    async def read(self) -> Sample | None:
        """Wait for the next frame's time; None at the end. Cancelling loses no frame.

        Raises:
            BrokenError: If the file cannot be read any more.
        """
        if self.speed <= 0:
            return await super().read()
        now = asyncio.get_running_loop().time
        self._place.enter(now())
        try:
            while (made := await self._made()) is not None:
                ticks, sample = made
                at = ticks / self.clock_rate
                if not self._is_left_out(at, sample, now()):
                    await asyncio.sleep(max(0.0, self._place.wait(at, now())))
                    self._making = None
                    due = self._place.playback.due(at)
                    return replace(sample, captured_at=time.time() + due - now())
                self.dropped += 1
                self._making = None
            return None
        finally:
            self._place.leave(now())

    def _is_left_out(self, at: float, sample: Sample, now: float) -> bool:
        """Whether the others are too far ahead; a picture goes on with a key frame."""
        if self._place.is_past(at, now):
            self._leaves_out = self._is_keyframe_wanted = True
        elif sample.keyframe:
            self._leaves_out = False
        return self._leaves_out

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
            for ticks, data, keyframe in make(container, stream):
                at = ticks - self._start
                yield at, Sample(data, at % TIMESTAMPS, keyframe)

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
        at: int | None = None
        for frame in container.decode(stream):
            if at is None:
                at = _ticks(frame.pts or 0, frame.time_base, self.clock_rate)
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
    """Sources for the first video and the first audio stream of a file, in this order, in step.

    Their track ids are the file's name and the kind. ``speed`` is that of ``PacedSource``.

    Raises:
        ConfigError: If the file cannot be read, or has neither.
    """
    return await asyncio.get_running_loop().run_in_executor(None, _open, Path(path), speed)


def _open(path: Path, speed: float) -> list[FileTrack]:
    try:
        with av.open(str(path)) as container:
            streams = [*container.streams.video[:1], *container.streams.audio[:1]]
            start = min((_start_of(each) for each in streams), default=Fraction(0))
            playback = Playback(speed)
            tracks = [
                FileTrack(
                    path,
                    stream,
                    track_id=f"{path.name}/{stream.type}",
                    start=start,
                    playback=playback,
                )
                for stream in streams
            ]
    except (av.FFmpegError, OSError) as exc:
        raise ConfigError(f"media file {path}: {exc}; give a file that FFmpeg can read") from exc
    if not tracks:
        raise ConfigError(f"media file {path}: it has neither video nor sound")
    return tracks


def _start_of(stream: Any) -> Fraction:
    """Seconds at which a stream begins."""
    return Fraction((stream.start_time or 0) * stream.time_base)


def _codec(stream: Any) -> str:
    if can_pass(stream) and stream.codec_context.name == "h264":
        return "H264"
    return "VP8" if stream.type == "video" else "opus"
