"""Sans-I/O: the frame of a WebSocket wire (docs/protocol.md, WebSocket wire).

One binary WebSocket message is one frame, length included, so that the same bytes can travel
over a plain byte stream::

    0       1                 5
    | type  | length, u32 BE  | data ...

``type`` is the channel, 0 to 3, or 255 for a step of the handshake.
"""

from __future__ import annotations

from struct import Struct

from google.protobuf.message import DecodeError

from actr.envelope_pb2 import WireHandshake
from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.payload import MAX_WIRE_MESSAGE_BYTES, WIRE_MESSAGE_BYTES, WireKind

HEADER = Struct(">BI")
HEADER_BYTES = HEADER.size
HANDSHAKE = 255
MAX_DATA_BYTES = 256 * 1024
"""Largest ``data``; the session above makes smaller ones."""
MESSAGE_BYTES = MAX_WIRE_MESSAGE_BYTES[WireKind.WEBSOCKET]
"""Longest wire message that the session above takes."""
MAX_FRAME_BYTES = HEADER_BYTES + MAX_DATA_BYTES

MAX_PIECES = 1024
MAX_STEP_BYTES = 16 * 1024
"""Largest step of the handshake: a certificate fits."""

_pack = HEADER.pack
_unpack_from = HEADER.unpack_from


def encode(frame_type: int, data: bytes) -> bytes:
    """Return the frame of ``data``.

    Raises:
        LimitError: If ``data`` is longer than ``MAX_DATA_BYTES``.
    """
    size = len(data)
    if size > MAX_DATA_BYTES:
        raise LimitError("bytes of a wire message", limit=MAX_DATA_BYTES, asked=size)
    return _pack(frame_type, size) + data


def read_head(head: bytes | memoryview, size: int) -> int:
    """The type of a frame that begins with ``head`` and has ``size`` bytes of data.

    Raises:
        RemoteProtocolError: If that is not what the header says.
    """
    frame_type, length = _unpack_from(head)
    if length != size:
        raise RemoteProtocolError(f"a frame that says {length} bytes and holds {size}")
    return int(frame_type)


def decode(frame: bytes | memoryview) -> tuple[int, bytes]:
    """Split one whole frame into its type and a copy of its data.

    Raises:
        RemoteProtocolError: If the frame is shorter than its header, or its length differs
            from what the header says.
        LimitError: If it is longer than ``MAX_FRAME_BYTES``.
    """
    size = len(frame) - HEADER_BYTES
    if size < 0:
        raise RemoteProtocolError(f"a frame of {len(frame)} bytes, shorter than its header")
    if size > MAX_DATA_BYTES:
        raise LimitError("bytes of a wire message", limit=MAX_DATA_BYTES, asked=size)
    return read_head(frame, size), bytes(frame[HEADER_BYTES:])


def agreed(far_bytes: int) -> int:
    """Longest wire message to send to a side that says it takes these; 0: it says nothing."""
    return min(max(far_bytes, WIRE_MESSAGE_BYTES), MESSAGE_BYTES)


class Pieces:
    """A frame that arrives in several WebSocket frames (RFC 6455, 5.4), as browsers may send.

    It holds at most ``MAX_FRAME_BYTES`` in ``MAX_PIECES`` pieces, of which some may be empty.
    """

    __slots__ = ("_count", "_held")

    def __init__(self) -> None:
        self._held = bytearray()
        self._count = 0

    def feed(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            LimitError: If all pieces together are longer than ``MAX_FRAME_BYTES``, or too many.
        """
        self._count += 1
        if self._count > MAX_PIECES:
            raise LimitError("pieces of a wire frame", limit=MAX_PIECES, asked=self._count)
        asked = len(self._held) + len(piece)
        if asked > MAX_FRAME_BYTES:
            raise LimitError("bytes of a wire frame", limit=MAX_FRAME_BYTES, asked=asked)
        self._held += piece

    def join(self) -> bytes:
        """Return the whole frame."""
        return bytes(self._held)


def parse_step(data: bytes) -> WireHandshake:
    """Read what a frame of ``HANDSHAKE`` holds.

    Raises:
        RemoteProtocolError: If it is too long, or no step.
    """
    if len(data) > MAX_STEP_BYTES:
        raise RemoteProtocolError(f"a handshake step of {len(data)} bytes")
    try:
        return WireHandshake.FromString(data)
    except DecodeError as exc:
        raise RemoteProtocolError("a handshake step that cannot be decoded") from exc
