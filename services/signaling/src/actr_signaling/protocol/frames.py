"""Sans-I/O: whole WebSocket frames out of bytes in any pieces, and frames to send (RFC 6455, 5.2).

The library's parser is a generator with an object for each frame, which is a third of what a
relay costs. Nearly all frames are whole binary messages; those are taken here, and every other
one is handed to the library as it came, so that it alone decides what is legal.
"""

from __future__ import annotations

from collections.abc import Iterator

try:
    from websockets.speedups import apply_mask
except ImportError:  # a build without the extension in C
    from websockets.utils import apply_mask

_BINARY = 0x82  # FIN, opcode 2
_TEXT = 0x81
_MASKED = 0x80
_TWO_BYTES = 126
_EIGHT_BYTES = 127
_MASK_BYTES = 4


class Splitter:
    """Cuts one connection's bytes into frames; masks are taken off binary messages.

    Args:
        max_bytes: Of one frame's payload: what announces more is handed over unread.
    """

    __slots__ = ("_max_bytes", "_rest")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[bool, bytes]]:
        """Take bytes; give, one by one and in order, what is whole by now.

        True with the payload of a binary message, or False with the bytes of any other frame,
        or with all that there is when its head is already wrong.
        """
        buffer = self._rest + data if self._rest else data
        self._rest = b""
        at, end = 0, len(buffer)
        while end - at >= 2:
            first, second = buffer[at], buffer[at + 1]
            length = second & 0x7F
            start = at + 2
            if length == _TWO_BYTES:
                start += 2
                if end < start:
                    break
                length = int.from_bytes(buffer[start - 2 : start], "big")
            elif length == _EIGHT_BYTES:
                start += 8
                if end < start:
                    break
                length = int.from_bytes(buffer[start - 8 : start], "big")
            if not second & _MASKED or length > self._max_bytes:
                yield False, buffer[at:]
                return
            mask_at = start
            start += _MASK_BYTES
            stop = start + length
            if stop > end:
                break
            if first == _BINARY:
                yield True, apply_mask(buffer[start:stop], buffer[mask_at:start])
            else:
                yield False, buffer[at:stop]
            at = stop
        self._rest = buffer[at:]


def binary(data: bytes) -> bytes:
    """One whole binary message as the server sends it."""
    return _head(_BINARY, len(data)) + data


def text(data: str) -> bytes:
    """One whole text message as the server sends it."""
    payload = data.encode()
    return _head(_TEXT, len(payload)) + payload


def _head(first: int, length: int) -> bytes:
    if length < _TWO_BYTES:
        return bytes((first, length))
    if length < 1 << 16:
        return bytes((first, _TWO_BYTES)) + length.to_bytes(2, "big")
    return bytes((first, _EIGHT_BYTES)) + length.to_bytes(8, "big")
