"""Sans-I/O: RTP packets of one source, and those of its past that may be asked for again.

A packet is bytes from its birth: one of 1,200 bytes is made some thousands of times a second.
Source: RFC 3550, 5.1; RFC 8285; RFC 4588, 4.
"""

from __future__ import annotations

import struct
from typing import Final

HISTORY_PACKETS: Final = 4096
"""Sent packets kept for requests: a frame of 1 MB has 870. A power of two."""

_HEAD: Final = struct.Struct("!BBHII")
_EXTENSIONS: Final = struct.Struct("!HH")
_NUMBER: Final = struct.Struct("!H")
_VERSION: Final = 0x80
_HAS_EXTENSIONS: Final = 0x10
_MARKER: Final = 0x80


class PacketWriter:
    """Packets with growing sequence numbers.

    Args:
        ssrc: The synchronization source.
        sequence: The first sequence number.

    Attributes:
        sequence: That of the next packet, modulo 2¹⁶.
        packets: Made so far, those that are repeated not counted.
        octets: Of payload, likewise.
    """

    def __init__(self, ssrc: int, *, sequence: int) -> None:
        self.ssrc = ssrc
        self.sequence = sequence
        self.packets = self.octets = 0
        self.payload_type = 0
        self._extensions = b""
        self._first = _VERSION
        self._history: list[bytes | None] = [None] * HISTORY_PACKETS

    def extend(self, profile: int, value: bytes) -> None:
        """Put these header extensions, whole words, into all packets from now on; empty: none."""
        self._first = _VERSION | (_HAS_EXTENSIONS if value else 0)
        self._extensions = _EXTENSIONS.pack(profile, len(value) // 4) + value if value else b""

    def write(self, payload: bytes, timestamp: int, *, is_last: bool) -> bytes:
        """The next packet; ``is_last`` sets its marker."""
        sequence = self.sequence
        kind = self.payload_type | _MARKER if is_last else self.payload_type
        head = _HEAD.pack(self._first, kind, sequence, timestamp, self.ssrc)
        packet = head + self._extensions + payload
        self._history[sequence % HISTORY_PACKETS] = packet
        self.sequence = (sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        return packet

    def forget(self) -> None:
        """Keep no packet any longer."""
        self._history = [None] * HISTORY_PACKETS

    @property
    def last(self) -> int:
        """The sequence number of the packet made last."""
        return (self.sequence - 1) & 0xFFFF

    def find(self, sequence: int) -> bytes | None:
        """A packet of the last ``HISTORY_PACKETS``."""
        packet = self._history[sequence % HISTORY_PACKETS]
        if packet is None or _NUMBER.unpack_from(packet, 2)[0] != sequence:
            return None
        return packet


def repeating(packet: bytes, payload_type: int, *, sequence: int, ssrc: int) -> bytes:
    """``packet`` as one of the source that repeats: its own number comes before its payload."""
    first, kind, original, timestamp, _ = _HEAD.unpack_from(packet)
    at = _HEAD.size
    if first & _HAS_EXTENSIONS:
        at += 4 + 4 * _EXTENSIONS.unpack_from(packet, at)[1]
    head = _HEAD.pack(first, kind & _MARKER | payload_type, sequence, timestamp, ssrc)
    return head + packet[_HEAD.size : at] + _NUMBER.pack(original) + packet[at:]
