"""Sans-I/O: how encoded frames come out of RTP packets again.

A frame of video is the packets of one RTP timestamp up to the one with the marker bit
(RFC 3550, 5.1; RFC 7741, 4.1; RFC 6184, 5.1); a packet of audio is a frame. Packets may come
late, twice, or never: the order is that of their 16-bit sequence numbers, which wrap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from actr_peer.protocol.media.missing import SEQUENCES, ahead

MAX_HELD_BYTES = 16 * 1024 * 1024
"""Of packets that wait for others: several frames of 1 MB, and no more."""
PATIENCE = 0.4
"""Seconds for which a hole may be filled by a packet sent again; then its frame is lost."""


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
