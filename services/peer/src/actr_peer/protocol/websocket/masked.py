"""Sans-I/O: long masked frames of a WebSocket, written and read past the framing library.

What a dialler sends is masked (RFC 6455, section 5.3). The library masks in place with stores that
pass by the processor's caches, so that who takes the bytes next waits for memory: a quarter of an
item's whole cost at 64 KiB. Long frames are masked by another library while they are copied, which
costs no more than the copy; all others are the framing library's, and so is what breaks a rule.
"""

from __future__ import annotations

from typing import NamedTuple

from actr_peer.protocol.websocket.lane_frames import MAX_FRAME_BYTES

LONG_BYTES = 8 * 1024
"""Longer payloads take this way: below, what it costs in Python is more than what it saves."""
KEY_BYTES = 4
NO_KEY = bytes(KEY_BYTES)
"""Of a frame in TLS, which nobody between can read: masked, as the standard asks, and the same."""
_WHOLE_BINARY = 0x82
_MASKED = 0x80
_WORD, _LONG_WORD = 126, 127
"""Lengths that say that the length follows, in two bytes or eight."""


def head(size: int, key: bytes) -> bytes:
    """What goes before the payload of a whole binary frame, masked with ``key``.

    Args:
        size: Of the payload, bytes; more than ``LONG_BYTES``.
        key: Four bytes that nobody can foretell.
    """
    if size < 1 << 16:
        return bytes((_WHOLE_BINARY, _MASKED | _WORD)) + size.to_bytes(2, "big") + key
    return bytes((_WHOLE_BINARY, _MASKED | _LONG_WORD)) + size.to_bytes(8, "big") + key


def turned(key: bytes, offset: int) -> bytes:
    """The key for what begins ``offset`` bytes behind the beginning of a payload."""
    offset %= KEY_BYTES
    return key[offset:] + key[:offset]


class Long(NamedTuple):
    """One whole long frame among the bytes given to :meth:`Sorter.sort`."""

    key: bytes
    start: int
    """Of its payload."""
    end: int


class Sorter:
    """Tells whole long frames from what the framing library reads, in one dialler's stream."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = 0
        """Bytes of a frame for the library that are still to come."""

    def sort(self, data: bytearray | memoryview, at: int, end: int) -> tuple[int, Long | None]:
        """Look at what has come from ``at`` to ``end``, which begins where the last look ended.

        Returns:
            Up to where it is the library's, and the long frame that follows there, or None where
            what follows is not whole yet: at most one frame of ``MAX_FRAME_BYTES``.
        """
        if self._left:
            step = min(self._left, end - at)
            self._left -= step
            at += step
        while end - at >= 2:
            size = data[at + 1] & 0x7F
            start = at + 2 + KEY_BYTES
            if size >= _WORD:
                width = 2 if size == _WORD else 8
                start += width
                if end - at < 2 + width:
                    break
                size = int.from_bytes(data[at + 2 : at + 2 + width], "big")
                if (
                    LONG_BYTES < size <= MAX_FRAME_BYTES
                    and data[at] == _WHOLE_BINARY
                    and data[at + 1] & _MASKED
                ):
                    if end - start < size:
                        break
                    return at, Long(bytes(data[start - KEY_BYTES : start]), start, start + size)
            at = start + size
            if at > end:
                self._left = at - end
                return end, None
        return at, None
