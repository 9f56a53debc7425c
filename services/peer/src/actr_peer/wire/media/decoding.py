"""Decoding one received track with PyAV, in a thread, from a key frame on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final, TypeAlias

import av
from av import AudioFrame, VideoFrame

from actr_peer.errors import ConfigError
from actr_peer.protocol.media.frames import MediaFrame, vp8_size
from actr_peer.protocol.media.missing import ahead

Shown: TypeAlias = VideoFrame | AudioFrame

DECODERS: Final = {
    "VP8": ("libvpx", 90_000),
    "H264": ("h264", 90_000),
    "OPUS": ("libopus", 48_000),
    "PCMU": ("pcm_mulaw", 8_000),
    "PCMA": ("pcm_alaw", 8_000),
    "G722": ("g722", 8_000),
}
"""Codec to PyAV's decoder, and ticks a second of its timestamps."""
MAX_PIXELS: Final = 4096 * 4096
"""Of a picture: a few bytes can ask a decoder for a gigabyte."""


class Decoder:
    """Frames of one track in, pictures or sound out; one call at a time.

    Args:
        ask: Asks the sender for a key frame.
    """

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._context: Any = None
        self._codec = ""
        self._clock_rate = 0
        self._last = 0
        self._needs_keyframe = True

    async def decode(self, frame: MediaFrame) -> list[Shown]:
        """What can be shown of ``frame``: nothing while a key frame is missing."""
        self._use(frame.codec)
        is_gap = ahead(self._last, frame.first_sequence) != 1
        self._last = frame.last_sequence
        if frame.kind == "video":
            if is_gap and not self._needs_keyframe and not frame.keyframe:
                self._needs_keyframe = True
                self._ask()
            if self._needs_keyframe and not frame.keyframe:
                return []
            self._needs_keyframe = not _can_begin(frame)
        if (self._needs_keyframe and frame.kind == "video") or not frame.data:
            return []  # nothing would end the decoder: it takes that for the end
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(None, self._run, frame)
        except av.FFmpegError:
            if frame.kind == "video":
                self._needs_keyframe = True
                self._ask()
            return []

    def _use(self, codec: str) -> None:
        if codec == self._codec:
            return
        if codec.upper() not in DECODERS:
            raise ConfigError(f"codec {codec!r} cannot be decoded: {', '.join(DECODERS)} can")
        name, self._clock_rate = DECODERS[codec.upper()]
        self._codec, self._context, self._needs_keyframe = (
            codec,
            av.CodecContext.create(name, "r"),
            True,
        )
        self._context.options = {"max_pixels": str(MAX_PIXELS)}
        if self._context.type == "audio" and self._clock_rate == 8_000:
            self._context.sample_rate = 16_000 if codec == "G722" else 8_000
            self._context.layout = "mono"

    def _run(self, frame: MediaFrame) -> list[Shown]:
        packet: Any = av.Packet(frame.data)
        packet.pts = packet.dts = frame.timestamp
        packet.time_base = Fraction(1, self._clock_rate)
        shown = self._context.decode(packet)
        for each in shown:
            each.pts, each.time_base = frame.timestamp, packet.time_base
        return list(shown)


def _can_begin(frame: MediaFrame) -> bool:
    """Whether the decoder is to see it: H264 is bounded by its own option."""
    if frame.codec.upper() != "VP8" or not frame.keyframe:
        return True
    size = vp8_size(frame.data)
    return size is not None and size[0] * size[1] <= MAX_PIXELS
