"""What makes encoded frames of raw ones: VP8, H264 and Opus in real time, by way of PyAV.

An encoder is used by one thread at a time, and is no place for the event loop: a frame of 720p
takes milliseconds.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import av
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from actr_peer.errors import ConfigError
from actr_peer.protocol.media.frames import AUDIO_CLOCK, VIDEO_CLOCK

OPUS_FRAME: Final = 960
"""Samples in 20 ms."""
RETUNE_SHARE: Final = 0.15
"""By how much of itself a bit rate must change before an encoder is made anew for it."""
_MAX_GOP: Final = 3000  # key frames come when asked for

_VIDEO: Final = {
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "H264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}),
}
"""Constrained baseline, for receivers of WebRTC must take no other (RFC 7742)."""
VIDEO_CODECS: Final = frozenset(_VIDEO)


class VideoEncoder:
    """VP8 on libvpx or H264 on libx264, without delay; key frames on request.

    Args:
        rate: Frames a second, as expected.
        bit_rate: Bits a second.

    Raises:
        ConfigError: If the codec is neither.
    """

    def __init__(
        self, width: int, height: int, rate: Fraction, bit_rate: int, *, codec: str = "VP8"
    ) -> None:
        if codec not in _VIDEO:
            raise ConfigError(f"codec {codec!r} for video that is encoded: take VP8 or H264")
        self.width, self.height, self.rate = width, height, rate
        self.codec = codec
        self.bit_rate = bit_rate
        self._codec = self._make()

    def _make(self) -> VideoCodecContext:
        name, options = _VIDEO[self.codec]
        made = av.CodecContext.create(name, "w")
        assert isinstance(made, VideoCodecContext)
        made.width, made.height = self.width, self.height
        made.pix_fmt = "yuv420p"
        made.time_base = Fraction(1, VIDEO_CLOCK)
        made.framerate = self.rate
        made.bit_rate = self.bit_rate
        made.gop_size = _MAX_GOP
        made.options = dict(options)
        return made

    def follow(self, bit_rate: int) -> None:
        """Make ``bit_rate`` bits a second from the next frame on, which is then a key frame.

        Small changes are not worth a key frame: nothing happens.
        """
        if abs(bit_rate - self.bit_rate) > RETUNE_SHARE * self.bit_rate:
            self.bit_rate = bit_rate
            self._codec = self._make()

    def encode(self, frame: av.VideoFrame, *, keyframe: bool) -> av.Packet[Any] | None:
        """Encode one frame of the encoder's size in YUV 4:2:0; None where it leaves one out."""
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        packets = self._codec.encode(frame)
        return packets[0] if packets else None


def opus_encoder(bit_rate: int = 64_000) -> AudioCodecContext:
    """Opus at 48 kHz in stereo, 20 ms a packet."""
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, AudioCodecContext)
    codec.format = "s16"
    codec.layout = "stereo"
    codec.sample_rate = AUDIO_CLOCK
    codec.bit_rate = bit_rate
    codec.options = {"application": "audio", "frame_duration": "20"}
    return codec
