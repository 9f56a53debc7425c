"""Sans-I/O: frames of a WebSocket that are no whole binary message (RFC 6455, section 5).

A wire sends each message in one frame, and so do most far sides. What else may come is a message
in pieces, between which control frames may be; a ping, a pong or a close. All the rest breaks the
standard. Masks, lengths and opcodes are the framing library's to check.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.websocket.lane_frames import Pieces
from actr_peer.protocol.wire.close_codes import is_sendable

MAX_BEFORE_HANDSHAKE = 32
"""Frames of these kinds that a stranger may send until its handshake is done."""
NO_CODE = 0
"""A close frame without a code (RFC 6455, section 7.1.5)."""


class Opcode(IntEnum):
    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class FramingError(RemoteProtocolError):
    """The far side breaks RFC 6455: the close is 1002, as the standard says."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A message, joined from its pieces."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    payload: bytes


@dataclass(frozen=True, slots=True)
class FarClose:
    code: int
    reason: bytes


class OddFrames:
    """Takes such frames of one far side.

    Attributes:
        is_inside: A message in pieces is not finished.
    """

    __slots__ = ("_before_handshake", "_pieces", "is_inside")

    def __init__(self) -> None:
        self.is_inside = False
        self._pieces: Pieces | None = None
        self._before_handshake = 0

    def take(
        self, opcode: int, payload: bytes, *, is_last: bool, is_reserved: bool
    ) -> Whole | Ping | FarClose | None:
        """Take one frame; None: nothing follows.

        Args:
            is_last: The FIN bit.
            is_reserved: Whether one of the bits RSV1 to RSV3 is set.

        Raises:
            FramingError: If it breaks the standard.
            RemoteProtocolError: If it is a text frame.
            LimitError: If a message in pieces is over a bound.
        """
        if is_reserved:
            raise FramingError("a reserved bit, and no extension was agreed on")
        match opcode:
            case Opcode.BINARY | Opcode.CONTINUATION:
                return self._piece(payload, is_first=opcode == Opcode.BINARY, is_last=is_last)
            case Opcode.PING:
                return Ping(payload)
            case Opcode.PONG:
                return None
            case Opcode.CLOSE:
                code = int.from_bytes(payload[:2], "big")
                if payload and not is_sendable(code):
                    raise FramingError(f"a close frame with code {code}")
                return FarClose(code, payload[2:])
            case _:
                raise RemoteProtocolError("a text frame on a wire")

    def count(self) -> None:
        """Count a frame before the handshake.

        Raises:
            LimitError: If there were too many.
        """
        self._before_handshake += 1
        if self._before_handshake > MAX_BEFORE_HANDSHAKE:
            raise LimitError(
                "frames before the handshake",
                limit=MAX_BEFORE_HANDSHAKE,
                asked=self._before_handshake,
            )

    def _piece(self, data: bytes, *, is_first: bool, is_last: bool) -> Whole | None:
        if is_first is self.is_inside:
            what = "a new message within another" if is_first else "a piece of no message"
            raise FramingError(what)
        self.is_inside = not is_last
        if is_first and is_last:
            return Whole(data)
        if self._pieces is None:
            self._pieces = Pieces()
        self._pieces.feed(data)
        if not is_last:
            return None
        whole, self._pieces = self._pieces.join(), None
        return Whole(whole)
