"""Pictures that are encoded here: a track of raw video."""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction
from typing import Any, Final

import av

from actr_peer.errors import ConfigError
from actr_peer.protocol.media.frames import TIMESTAMPS, VIDEO_CLOCK, Sample
from actr_peer.wire.media.encoders import VIDEO_CODECS, VideoEncoder
from actr_peer.wire.media.raw import RawTrack

MAX_PICTURES: Final = 2
"""Raw pictures that wait for the encoder; one of 1080p has 3 MB."""
MAX_SIDE: Final = 4096
"""Pixels: what is larger is decoded nowhere here."""
HEADROOM: Final = 0.85
"""Part of the estimate that an encoder uses: the rest is for packets that are sent again."""


class VideoTrack(RawTrack):
    """Pictures that are encoded here to VP8 or H264; the encoder follows the far side's estimate.

    Args:
        track_id: What the far side sees.
        codec: ``VP8`` or ``H264``.
        bitrate: Bits a second to begin with.
        min_bitrate: What the encoder never goes below, whatever the path carries.
        max_bitrate: What it never goes above; by default twice ``bitrate``.
        fps: Frames a second, as expected.
        live: As for ``RawTrack``.

    Raises:
        ConfigError: If the codec is neither, or the bit rates are not in order.
    """

    def __init__(
        self,
        track_id: str,
        *,
        codec: str = "VP8",
        bitrate: int = 1_000_000,
        min_bitrate: int = 100_000,
        max_bitrate: int | None = None,
        fps: int = 30,
        live: bool = True,
    ) -> None:
        if codec not in VIDEO_CODECS:
            raise ConfigError(f"codec {codec!r} for video that is encoded: take VP8 or H264")
        if max_bitrate is None:
            max_bitrate = 2 * bitrate
        if not 0 < min_bitrate <= bitrate <= max_bitrate:
            raise ConfigError(
                f"bit rates {min_bitrate}, {bitrate}, {max_bitrate}: give least, first, most"
            )
        super().__init__(track_id, kind="video", codec=codec, live=live, max_waiting=MAX_PICTURES)
        self.min_bitrate, self.max_bitrate = min_bitrate, max_bitrate
        self.bitrate = bitrate
        self.fps = fps
        self._is_keyframe_wanted = True
        self._encoder: VideoEncoder | None = None
        self._first: tuple[float, int] | None = None
        self._last = -1

    def request_keyframe(self) -> None:
        """The runtime's: the next picture becomes a key frame."""
        self._is_keyframe_wanted = True
        super().request_keyframe()

    def bitrate_estimated(self, bits_per_second: float) -> None:
        """The runtime's: encode at what the path carries, between the bounds."""
        wanted = int(bits_per_second * HEADROOM)
        self.bitrate = max(self.min_bitrate, min(self.max_bitrate, wanted))
        super().bitrate_estimated(bits_per_second)

    async def send(
        self,
        picture: Any,
        *,
        width: int = 0,
        height: int = 0,
        format: str = "",
    ) -> bool:
        """Send one picture; False where an older one was dropped for it.

        Its time is its ``pts`` where it is a ``VideoFrame`` that has one, else now.

        Args:
            picture: An ``av.VideoFrame``; an array of numpy, of height x width x 3 (``rgb24``) or
                what ``format`` says; or bytes of all planes, one after the other, without padding.
            width: In pixels, of bytes; even.
            height: In pixels, of bytes; even.
            format: As FFmpeg names it; of bytes ``yuv420p`` where it is empty.

        Raises:
            ClosedError: If the track has ended.
            ConfigError: If it is no picture.
        """
        frame = _frame(picture, width, height, format)
        if not (2 <= frame.width <= MAX_SIDE and 2 <= frame.height <= MAX_SIDE):
            raise ConfigError(
                f"a picture of {frame.width} x {frame.height}: give 2 to {MAX_SIDE} pixels a side"
            )
        return await self._push((frame, self._ticks(frame), time.time()))

    def _ticks(self, frame: av.VideoFrame) -> int:
        if frame.pts is not None and frame.time_base:
            at = float(frame.pts * frame.time_base)
        else:
            at = asyncio.get_running_loop().time()
        if self._first is None:
            self._first = (at, 0)
        self._last = max(self._last + 1, int((at - self._first[0]) * VIDEO_CLOCK))
        return self._last

    def _encode(self, raw: tuple[av.VideoFrame, int, float] | None) -> list[Sample]:
        if raw is None:
            return []
        frame, ticks, pushed_at = raw
        width, height = frame.width & ~1, frame.height & ~1
        encoder = self._encoder
        if encoder is None or (encoder.width, encoder.height) != (width, height):
            encoder = VideoEncoder(
                width, height, Fraction(self.fps), self.bitrate, codec=self.codec
            )
            self._encoder = encoder
        encoder.follow(self.bitrate)
        made = frame.reformat(width=width, height=height, format="yuv420p")
        made.pts, made.time_base = ticks, Fraction(1, VIDEO_CLOCK)
        wanted, self._is_keyframe_wanted = self._is_keyframe_wanted, False
        packet = encoder.encode(made, keyframe=wanted)
        if packet is None:
            self.dropped += 1  # the encoder may leave one out to keep its bit rate
            self._is_keyframe_wanted |= wanted
            return []
        return [Sample(bytes(packet), ticks % TIMESTAMPS, bool(packet.is_keyframe), pushed_at)]


def _frame(picture: Any, width: int, height: int, form: str) -> av.VideoFrame:
    if isinstance(picture, av.VideoFrame):
        return picture
    try:
        if hasattr(picture, "dtype"):
            return av.VideoFrame.from_ndarray(picture, format=form or "rgb24")
        if width < 2 or height < 2 or width % 2 or height % 2:
            raise ValueError(f"{width} x {height} pixels: give an even width and height")
        return _planes(
            memoryview(picture).cast("B"), av.VideoFrame(width, height, form or "yuv420p")
        )
    except (ValueError, TypeError, av.FFmpegError) as exc:
        raise ConfigError(f"no picture: {exc}") from exc


def _planes(data: memoryview, frame: av.VideoFrame) -> av.VideoFrame:
    """Fill the planes of ``frame``, whose lines may be longer than they are wide."""
    at = 0
    for plane in frame.planes:
        line = plane.width * _pixel_bytes(frame)
        size = line * plane.height
        part = bytes(data[at : at + size])
        if len(part) != size:
            raise ValueError(f"{len(data)} bytes are too few for {frame.width} x {frame.height}")
        if plane.line_size != line:
            part = b"".join(
                part[row : row + line].ljust(plane.line_size, b"\0") for row in range(0, size, line)
            )
        plane.update(part.ljust(plane.buffer_size, b"\0"))
        at += size
    if at != len(data):
        raise ValueError(f"{len(data)} bytes are more than {frame.width} x {frame.height} has")
    return frame


def _pixel_bytes(frame: av.VideoFrame) -> int:
    """Of one plane."""
    return 1 if len(frame.planes) > 1 else frame.format.padded_bits_per_pixel // 8
