"""Sans-I/O: encoded frames, and how they come out of RTP packets again.

A frame of video is the packets of one RTP timestamp up to the one with the marker bit
(RFC 3550, 5.1; RFC 7741, 4.1; RFC 6184, 5.1); a packet of audio is a frame. Packets may come
late, twice, or never: the order is that of their 16-bit sequence numbers, which wrap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from actr_peer.protocol.webrtc.negotiation import TrackKind

SEQUENCES = 1 << 16
TIMESTAMPS = 1 << 32

MAX_HELD_BYTES = 16 * 1024 * 1024
"""Of packets that wait for others: several frames of 1 MB, and no more."""
PATIENCE = 0.4
"""Seconds for which a hole may be filled by a packet sent again; then its frame is lost."""
REQUEST_INTERVAL = 0.02
"""Seconds between two requests for the same packet."""
MAX_REQUESTS = 20
"""How often a lost packet is asked for."""
MAX_REQUESTED = 64
"""Packets asked for at a time: those that come at once must not overrun the socket again."""
MAX_MISSING = 1024
"""Packets that are asked for at a time; a larger hole is not worth filling."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One encoded frame on its way out."""

    data: bytes
    timestamp: int
    """In ticks of the codec's clock (video 90 000, Opus 48 000 a second), modulo 2³²."""
    keyframe: bool = True


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


@dataclass(frozen=True, slots=True)
class Whole:
    """The parts of one frame, put together."""

    data: bytes
    timestamp: int
    first_sequence: int
    last_sequence: int


class _Packet(NamedTuple):
    timestamp: int
    is_last: bool
    data: bytes


class Assembler:
    """Frames from packets; frames leave whole and in order, or not at all.

    It owns no clock: the caller passes ``now``. Frames may have any number of packets.

    Attributes:
        lost_frames: Frames that were given up.
        held_bytes: Payload that waits for a packet before it.
    """

    def __init__(self, *, max_held_bytes: int = MAX_HELD_BYTES, patience: float = PATIENCE) -> None:
        self.max_held_bytes = max_held_bytes
        self.patience = patience
        self.lost_frames = 0
        self.held_bytes = 0
        self._packets: dict[int, _Packet] = {}
        # The frame at the front: where it begins, how far it is here without a hole, its parts.
        self._first: int | None = None
        self._scanned = 0
        self._parts: list[bytes] = []
        self._timestamp = 0
        self._spoiled: int | None = None
        """Timestamp of a frame that was given up: the rest of it is worth nothing."""
        self._hole_since: float | None = None

    def add(
        self, sequence: int, timestamp: int, data: bytes, *, is_last: bool, now: float
    ) -> list[Whole]:
        """Take one packet; return the frames that are whole now, in order."""
        if self._first is None:
            self._first = self._scanned = sequence
        if ahead(self._scanned, sequence) >= SEQUENCES // 2 or sequence in self._packets:
            return []
        self._packets[sequence] = _Packet(timestamp, is_last, data)
        self.held_bytes += len(data)
        return [*self._take(), *self.expire(now=now)]

    def expire(self, *, now: float) -> list[Whole]:
        """Give up what has waited too long; return the frames that are whole behind it."""
        frames: list[Whole] = []
        while self._is_overdue(now):
            self._skip()
            frames += self._take()
        return frames

    def _take(self) -> Iterator[Whole]:
        """Frames that are whole at the front."""
        while (packet := self._packets.get(self._scanned)) is not None:
            self._hole_since = None
            if self._parts and packet.timestamp != self._timestamp:
                yield self._cut()  # some senders lose the marker
            del self._packets[self._scanned]
            self._scanned = (self._scanned + 1) % SEQUENCES
            if packet.timestamp == self._spoiled:
                self.held_bytes -= len(packet.data)
                self._first = self._scanned
                continue
            self._parts.append(packet.data)
            self._timestamp = packet.timestamp
            if packet.is_last:
                yield self._cut()

    def _cut(self) -> Whole:
        """The frame at the front ends before ``_scanned``."""
        assert self._first is not None
        data = b"".join(self._parts)
        frame = Whole(data, self._timestamp, self._first, (self._scanned - 1) % SEQUENCES)
        self.held_bytes -= len(data)
        self._parts = []
        self._first = self._scanned
        self._spoiled = None
        return frame

    def _is_overdue(self, now: float) -> bool:
        """Whether the frame at the front has been waited for long enough."""
        if self.held_bytes > self.max_held_bytes:
            return True
        if not self._packets:
            return False
        if self._hole_since is None:
            self._hole_since = now
        return now - self._hole_since > self.patience

    def _skip(self) -> None:
        """Give up the frame at the front: go on behind its end, as far as that is known."""
        self.lost_frames += 1
        self.held_bytes -= sum(map(len, self._parts))
        if self._parts:
            self._spoiled = self._timestamp
        self._parts = []
        for sequence in sorted(self._packets, key=lambda each: ahead(self._scanned, each)):
            packet = self._packets.pop(sequence)
            self.held_bytes -= len(packet.data)
            self._scanned = (sequence + 1) % SEQUENCES
            self._spoiled = packet.timestamp
            if packet.is_last:
                self._spoiled = None
                break
        self._first = self._scanned
        self._hole_since = None


class Missing:
    """Which packets to ask for again (NACK, RFC 4585, 6.2.1): what lies between those seen.

    It owns no clock: the caller passes ``now``, and calls :meth:`due` while there are any.
    """

    def __init__(self) -> None:
        self._newest: int | None = None
        # How often each was asked for, and when to ask next; oldest first.
        self._missing: dict[int, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._missing)

    def add(self, sequence: int, *, now: float) -> bool:
        """Take one sequence number; True if it shows that others are missing."""
        if self._newest is None:
            self._newest = sequence
            return False
        distance = ahead(self._newest, sequence)
        if distance >= SEQUENCES // 2 or distance == 0:
            self._missing.pop(sequence, None)
            return False
        if distance > MAX_MISSING:
            self._missing.clear()
        else:
            for step in range(1, distance):
                self._missing[(self._newest + step) % SEQUENCES] = (0, now)
        self._newest = sequence
        while len(self._missing) > MAX_MISSING:
            del self._missing[next(iter(self._missing))]
        return distance > 1

    def due(self, *, now: float) -> list[int]:
        """Those to ask for now, oldest first; each is asked for ``MAX_REQUESTS`` times at most."""
        due: list[int] = []
        for sequence, (asked, at) in list(self._missing.items()):
            if at > now:
                continue
            if asked >= MAX_REQUESTS:
                del self._missing[sequence]
                continue
            self._missing[sequence] = (asked + 1, now + REQUEST_INTERVAL)
            due.append(sequence)
            if len(due) == MAX_REQUESTED:
                break
        return due


def ahead(of: int, sequence: int) -> int:
    """How many numbers ``sequence`` lies after ``of``, modulo 2¹⁶; from 2¹⁵ on it lies before."""
    return (sequence - of) % SEQUENCES


def is_keyframe(codec: str, data: bytes) -> bool:
    """Whether decoding can begin with ``data``: VP8 (RFC 6386, 9.1), H264 in Annex B form."""
    match codec.upper():
        case "VP8":
            return bool(data) and not data[0] & 1
        case "H264":
            return any(unit in (5, 7) for unit in _unit_types(data))
        case _:
            return True


def _unit_types(data: bytes) -> Iterator[int]:
    """Types of the NAL units in ``data`` (ITU-T H.264, 7.3.1 and Annex B)."""
    at = data.find(b"\0\0\1")
    while 0 <= at < len(data) - 3:
        yield data[at + 3] & 31
        at = data.find(b"\0\0\1", at + 3)
