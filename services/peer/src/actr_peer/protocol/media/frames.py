"""Sans-I/O: encoded frames, as they go out and as they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from actr_peer.protocol.webrtc.negotiation import TrackKind

TIMESTAMPS = 1 << 32
VIDEO_CLOCK = 90_000
AUDIO_CLOCK = 48_000
"""Ticks of a timestamp in a second."""
MAX_SAMPLE_BYTES = 12 * 1024 * 1024
"""Of one frame: a receiver holds 16 MiB of packets of a track, and gives up what goes beyond."""
VP8_HEAD_BYTES = 10
"""Of a key frame, before its first partition."""
MAX_SECONDS = 1 << 32
"""Since 1970."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One encoded frame on its way out."""

    data: bytes
    timestamp: int
    """In ticks of the codec's clock (video 90 000, Opus 48 000 a second), modulo 2³²."""
    keyframe: bool = True
    captured_at: float | None = None
    """When it was taken, in seconds since 1970; None: when the runtime reads it. It puts the
    tracks of one sender in step."""


def fault(sample: object) -> str:
    """What is wrong with what is to be a :class:`Sample`; empty: nothing."""
    if not isinstance(sample, Sample):
        return f"{type(sample).__name__} is no Sample"
    if not isinstance(sample.data, bytes | bytearray | memoryview):
        return f"its data is {type(sample.data).__name__} and no bytes"
    if not isinstance(sample.timestamp, int):
        return f"its timestamp is {sample.timestamp!r} and no whole number of ticks"
    at = sample.captured_at
    if at is not None and not (isinstance(at, int | float) and 0 <= at <= MAX_SECONDS):
        return f"it was taken at {at!r}, which is no time since 1970"
    return ""


@dataclass(frozen=True, slots=True)
class MediaFrame:
    """One encoded frame as it came."""

    data: bytes
    timestamp: int
    """The sender's, in ticks of the codec's clock, modulo 2³²."""
    codec: str
    """``VP8``, ``H264``, ``opus`` …, as negotiated."""
    kind: TrackKind
    track_id: str
    """The sender's."""
    keyframe: bool
    """Whether decoding can begin here; always true for audio."""
    first_sequence: int
    last_sequence: int
    """RTP sequence numbers of its packets, modulo 2¹⁶: a gap to the next frame is a loss."""
    sent_at: float | None = None
    """When it was taken, by its sender's clock, in seconds since 1970: one clock for all its
    tracks. None until the track's first sender report, which comes with its first frame or so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackStats:
    """How one track of one wire fares."""

    track_id: str
    kind: TrackKind
    is_outbound: bool
    packets: int
    lost: int
    """Packets; of an outbound track as the far side reports it."""
    jitter: float | None
    """Seconds (RFC 3550, 6.4.1)."""
    rtt: float | None
    """Seconds, of outbound tracks, once the far side has reported."""
    frames: int
    dropped: int
    """Frames lost here: inbound with holes in them, outbound that nobody could take."""
    keyframe_requests: int = 0
    """How often a key frame was asked for; 0 where that is not counted."""
    codec: str = ""
    """Empty: nothing has come of it yet."""
    bytes: int = 0
    """Of its frames."""


def is_keyframe(codec: str, data: bytes) -> bool:
    """Whether decoding can begin with ``data``: VP8 (RFC 6386, 9.1), H264 in Annex B form."""
    match codec.upper():
        case "VP8":
            return bool(data) and not data[0] & 1
        case "H264":
            return any(unit in (5, 7) for unit in _unit_types(data))
        case _:
            return True


def vp8_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a VP8 key frame (RFC 6386, 9.1); None: it is none, or has no picture."""
    if len(data) < VP8_HEAD_BYTES or data[0] & 1 or data[3:6] != b"\x9d\x01\x2a":
        return None
    width, height = (
        int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, VP8_HEAD_BYTES - 2)
    )
    return (width, height) if width and height else None


def _unit_types(data: bytes) -> Iterator[int]:
    """Types of the NAL units in ``data`` (ITU-T H.264, 7.3.1 and Annex B)."""
    at = data.find(b"\0\0\1")
    while 0 <= at < len(data) - 3:
        yield data[at + 3] & 31
        at = data.find(b"\0\0\1", at + 3)
