"""Sans-I/O: a server's side of WebSocket frames, both ways (RFC 6455, sections 5 and 7).

The splitter cuts one connection's bytes into frames and judges each by its head, before its
payload is there. It gives one frame at a time, so that whoever asks can stop at any of them: the
work between two frames is bounded by the longest message.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from actr_signaling.errors import Close

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover - a build without the extension in C
    from websockets.utils import apply_mask

MAX_FRAGMENTS = 64
"""Of one message."""
MAX_CONTROL_BYTES = 125
_FIN = 0x80
_RESERVED = 0x70
_OPCODE = 0x0F
_MASKED = 0x80
_TWO_BYTES = 126
_EIGHT_BYTES = 127
_MASK_BYTES = 4
_HEAD_OF_TWO_BYTES = Struct(">BBH").pack
_WHOLE_BINARY = 0x82  # nearly all frames are such


class Kind(IntEnum):
    """What came; a fragmented message comes as pieces, the last of them as the whole message."""

    PIECE = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_PIECE, _TEXT, _BINARY, _CLOSE = Kind.PIECE, Kind.TEXT, Kind.BINARY, Kind.CLOSE
_KINDS = {int(kind): kind for kind in Kind}


class Frame(NamedTuple):
    """One frame.

    Attributes:
        kind: Of the frame; of the whole message where it is the last of one.
        data: Of the frame or message, unmasked; nothing of a piece.
        size: Bytes of the payload of this frame.
    """

    kind: Kind
    data: bytes
    size: int


class FrameError(Exception):
    """A frame that may not come: the connection ends.

    Attributes:
        code: The close code, of the standard or of this service.
        message: One sentence for the person who reads the client's log.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def _breach(message: str) -> FrameError:
    return FrameError(1002, message)


class Splitter:
    """Frames of one connection out of bytes in any pieces.

    Args:
        max_bytes: Of one message; one that announces more is refused before it is there.
    """

    __slots__ = ("_at", "_buffer", "_is_text", "_max_bytes", "_parts", "_parts_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer: bytes | bytearray = b""
        self._at = 0
        self._parts: list[bytes] | None = None
        """Of a message of which more is to come."""
        self._parts_bytes = 0
        self._is_text = False

    def __len__(self) -> int:
        """Bytes that wait."""
        return len(self._buffer) - self._at

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes; give the frames that are whole by now, as :meth:`next` does one by one.

        What waits already costs nothing again.
        """
        buffer = self._buffer
        waiting = len(buffer) - self._at
        if waiting <= len(data):
            self._buffer = bytes(buffer[self._at :]) + data if waiting else data
        elif isinstance(buffer, bytearray):
            del buffer[: self._at]
            buffer += data
        else:  # so that little by little costs no copy of it all each time
            self._buffer = bytearray(buffer[self._at :]) + data
        self._at = 0
        return iter(self.next, None)

    def whole_binary(self) -> bytes | None:
        """The next frame, where it is a whole binary message, as nearly all are; else None, and
        :meth:`next` says what there is."""
        buffer, at = self._buffer, self._at
        if self._parts is not None or len(buffer) - at < 4 or buffer[at] != _WHOLE_BINARY:
            return None
        length, start = buffer[at + 1] ^ _MASKED, at + 2
        if length == _TWO_BYTES:
            length, start = buffer[at + 2] << 8 | buffer[at + 3], at + 4
            if length < _TWO_BYTES:
                return None
        elif length > _TWO_BYTES:  # a longer one, or one that is not masked
            return None
        begin = start + _MASK_BYTES
        stop = begin + length
        if len(buffer) < stop or length > self._max_bytes:
            return None
        self._at = stop
        return apply_mask(buffer[begin:stop], buffer[start:begin])

    def next(self) -> Frame | None:
        """The next frame; None: it is not whole yet.

        Raises:
            FrameError: If it may not come; nothing may be asked after that.
        """
        buffer, at = self._buffer, self._at
        if len(buffer) - at < 2:
            return None
        first, second = buffer[at], buffer[at + 1]
        opcode = first & _OPCODE
        length = second & 0x7F
        if first != _WHOLE_BINARY or not second & _MASKED or self._parts is not None:
            self._check(first, second, opcode, length)
        start = at + 2
        if length >= _TWO_BYTES:
            start += 2 if length == _TWO_BYTES else 8
            if len(buffer) < start:
                return None
            length = _long_length(buffer[at + 2 : start])
        if opcode < _CLOSE and length + self._parts_bytes > self._max_bytes:
            raise FrameError(Close.TOO_BIG, f"a message over {self._max_bytes} bytes")
        stop = start + _MASK_BYTES + length
        if len(buffer) < stop:
            return None
        data = b""
        if length:
            mask = buffer[start : start + _MASK_BYTES]
            data = apply_mask(buffer[start + _MASK_BYTES : stop], mask)
        self._at = stop
        if opcode == _CLOSE:
            _check_close(data)
        if opcode < _CLOSE and (self._parts is not None or not first & _FIN):
            return self._gather(first, opcode, data)
        return Frame(_KINDS[opcode], data, length)

    def _check(self, first: int, second: int, opcode: int, length: int) -> None:
        """Refuse what the first two bytes say already."""
        if first & _RESERVED:
            raise _breach("a reserved bit is set")
        if opcode not in _KINDS:
            raise _breach(f"an unknown opcode: {opcode}")
        if not second & _MASKED:
            raise _breach("a client's frame that is not masked")
        if opcode >= _CLOSE:
            if length > MAX_CONTROL_BYTES:
                raise _breach("a control frame over 125 bytes")
            if not first & _FIN:
                raise _breach("a control frame in fragments")
        elif opcode:
            if self._parts is not None:
                raise _breach("a new message within a fragmented one")
        elif self._parts is None:
            raise _breach("a continuation of nothing")

    def _gather(self, first: int, opcode: int, data: bytes) -> Frame:
        size = len(data)
        if self._parts is None:
            self._parts = []
            self._is_text = opcode == _TEXT
        self._parts.append(data)
        self._parts_bytes += size
        if first & _FIN:
            whole, self._parts, self._parts_bytes = b"".join(self._parts), None, 0
            return Frame(_TEXT if self._is_text else _BINARY, whole, size)
        if len(self._parts) >= MAX_FRAGMENTS:
            raise FrameError(Close.TOO_BIG, f"a message of over {MAX_FRAGMENTS} fragments")
        return Frame(_PIECE, b"", size)


def _long_length(announced: bytes | bytearray) -> int:
    length = int.from_bytes(announced, "big")
    if length >> 63:
        raise _breach("a length whose highest bit is set")
    if length < _TWO_BYTES or (len(announced) > 2 and length < 1 << 16):
        raise _breach("a length in more bytes than it needs")
    return length


def _check_close(data: bytes) -> None:
    """The code and the reason of a close frame (RFC 6455, sections 5.5.1 and 7.4)."""
    if not data:
        return
    code = int.from_bytes(data[:2], "big")
    is_known = 1000 <= code <= 1014 and code not in (1004, 1005, 1006)
    if len(data) == 1 or not (is_known or 3000 <= code <= 4999):
        raise _breach("a close frame without a code that may be sent")
    try:
        data[2:].decode()
    except UnicodeDecodeError as exc:
        raise FrameError(1007, "a close reason that is not UTF-8") from exc


def read_text(data: bytes) -> str:
    """The text of a text message.

    Raises:
        FrameError: If it is not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise FrameError(1007, "a text message that is not UTF-8") from exc


def binary(data: bytes) -> bytes:
    """One whole binary message as the server sends it."""
    return _head(_BINARY, len(data)) + data


def binary_of(start: bytes, rest: bytes) -> bytes:
    """The same of a message in two parts."""
    return b"".join((_head(_BINARY, len(start) + len(rest)), start, rest))


def text(data: str) -> bytes:
    """One whole text message as the server sends it."""
    payload = data.encode()
    return _head(_TEXT, len(payload)) + payload


def whole(message: bytes | str) -> bytes:
    """One whole message of either kind."""
    return text(message) if isinstance(message, str) else binary(message)


def pong(data: bytes) -> bytes:
    """The answer to a ping."""
    return _head(Kind.PONG, len(data)) + data


def ping(data: bytes) -> bytes:
    return _head(Kind.PING, len(data)) + data


def close(code: int | None, reason: str = "") -> bytes:
    """A close frame; a reason that is too long for a control frame is cut."""
    if code is None:
        return _head(_CLOSE, 0)
    room = MAX_CONTROL_BYTES - 2
    payload = code.to_bytes(2, "big") + reason.encode()[:room].decode(errors="ignore").encode()
    return _head(_CLOSE, len(payload)) + payload


def _head(opcode: int, length: int) -> bytes:
    if length < _TWO_BYTES:
        return bytes((_FIN | opcode, length))
    if length < 1 << 16:
        return _HEAD_OF_TWO_BYTES(_FIN | opcode, _TWO_BYTES, length)
    return bytes((_FIN | opcode, _EIGHT_BYTES)) + length.to_bytes(8, "big")
