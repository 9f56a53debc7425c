"""Sans-I/O: the frames that a lane session puts into wire messages.

A wire message on channel ``c`` is one or more frames, one after the other, network byte order;
a DATA frame belongs to lane ``c``, a REPLY frame to the reply lane ``4 + c``. Layouts, with
examples: docs/protocol.md#session-frames::

    DATA   u8 0x01, u64 seq, u32 length, payload
           u8 0x81, u64 seq, u32 length, u16 index, u16 count, payload      one fragment of many
    REPLY  likewise, 0x09 and 0x89
    ACK    u8 0x02, u8 lane, u64 received, u64 acknowledged, u16 messages, u32 bytes
    HELLO  u8 0x03, u8 version, u64 incarnation, u64 known, u64 received x 6, u32 max bytes
    PING   u8 0x04, u32 number          PONG  u8 0x05, u32 number
    BYE    u8 0x06, u8 reason           ASK   u8 0x07, u8 lane
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.payload import WIRE_MESSAGE_BYTES

VERSION = 2
LANES = 6
"""Four of payload types, and the reply lanes of the first two."""
LATENCY_LANE = 3
"""The one that has no acknowledgements."""
RELIABLE_LANES = (0, 1, 2, 4, 5)
FIRST_REPLY_LANE = 4

_DATA = struct.Struct("!BQI")
_FRAGMENT = struct.Struct("!BQIHH")
_ACK = struct.Struct("!BBQQHI")
_HELLO = struct.Struct("!BBQQ6QI")
_NUMBER = struct.Struct("!BI")
_BYTE = struct.Struct("!BB")

BESIDE_BYTES = _FRAGMENT.size + len(RELIABLE_LANES) * _ACK.size
"""What a wire message has room for beside payloads: one header, acknowledgements of all lanes."""
FRAGMENT_BYTES = WIRE_MESSAGE_BYTES - BESIDE_BYTES
"""Longest payload of one DATA frame: with what is beside it, it fills the shortest wire message,
so that it can go out again on any wire."""
MAX_FRAGMENTS = 0xFFFF

DATA_HEAD_BYTES = _FRAGMENT.size
"""Upper bound of what a DATA frame adds to its payload."""


class Kind(IntEnum):
    """The first byte of a frame."""

    DATA = 0x01
    ACK = 0x02
    HELLO = 0x03
    PING = 0x04
    PONG = 0x05
    BYE = 0x06
    ASK = 0x07
    """Please acknowledge this lane now: an acknowledgement may have been lost."""
    REPLY = 0x09
    """A message of the reply lane that belongs to the channel."""
    FRAGMENT = 0x81
    """DATA that is one fragment of a longer message."""
    REPLY_FRAGMENT = 0x89


class ByeReason(IntEnum):
    """Why a side says goodbye."""

    CLOSED = 0
    """The link is closed: nothing of the session is kept."""
    IDLE = 1
    """Nothing happens: may the link be closed? Answered with CLOSED, or with traffic."""
    DUPLICATE = 2
    """This wire is not needed; the session lives on in others."""
    BROKEN_RULES = 3
    """The far side broke this protocol: the link is dropped."""


class Data(NamedTuple):
    """A message, or one fragment of it."""

    seq: int
    """Of this frame, from 0, without gaps in each lane."""
    part: int
    """Index of this fragment, from 0; of a longer payload than a fragment has, of its first."""
    parts: int
    """Fragments of the message; 1: it is whole."""
    payload: bytes | memoryview
    """Of a fragment, a view of its wire message: who keeps it for longer makes bytes of it."""


class Reply(Data):
    """A message of a reply lane, or one fragment of it."""

    __slots__ = ()


REPLY_FLAG = Kind.REPLY ^ Kind.DATA
"""What makes a DATA frame, whole or fragment, one of a reply lane."""


class Ack(NamedTuple):
    """What has arrived in one lane, and what may come."""

    lane: int
    received: int
    """Frames below this number have arrived: they are not sent again."""
    acknowledged: int
    """Frames below this number are delivered (RPC: stored): the sender may forget them."""
    credit_messages: int
    """Frames that may be sent from ``received`` on."""
    credit_bytes: int
    """Payload bytes that may be sent from ``received`` on."""


class Hello(NamedTuple):
    """First on channel 1 of every wire; repeated until the far side is heard."""

    incarnation: int
    """Of the sender's end of the session; never 0."""
    known: int
    """The incarnation of the far side that ``received`` counts for; 0: none yet."""
    received: tuple[int, ...]
    """One number for each lane, as in :class:`Ack`."""
    max_message_bytes: int
    """Longest message, all its fragments together, that the sender takes."""


class Ping(NamedTuple):
    number: int


class Pong(NamedTuple):
    number: int


class Bye(NamedTuple):
    reason: ByeReason


class Ask(NamedTuple):
    lane: int


Frame: TypeAlias = Data | Reply | Ack | Hello | Ping | Pong | Bye | Ask


# What a NamedTuple's own constructor does, in a third of its time.
_new = tuple.__new__


def decode(data: bytes | memoryview) -> Iterator[Frame]:
    """Yield the frames of one wire message, in order.

    Raises:
        RemoteProtocolError: If a frame is cut short, unknown, or holds a value out of bounds.
            Frames before it have been yielded.
    """
    offset, size = 0, len(data)
    if not size:
        raise RemoteProtocolError("an empty wire message")
    try:
        while offset < size:
            kind = data[offset]
            if kind == 0x01 or kind == 0x09:
                _, seq, length = _DATA.unpack_from(data, offset)
                start = offset + 13
                offset = start + length
                if offset > size:
                    raise RemoteProtocolError(f"DATA of {length} bytes has {size - start}")
                frame_type = Data if kind == 0x01 else Reply
                yield _new(frame_type, (seq, 0, 1, bytes(data[start:offset])))
            elif kind == 0x81 or kind == 0x89:
                frame, offset = _fragment(data, offset)
                yield frame
            elif kind == 0x02:
                yield _ack(data, offset)
                offset += _ACK.size
            else:
                control, offset = _control(data, offset)
                yield control
    except struct.error as exc:
        raise RemoteProtocolError(f"a frame is cut short at byte {offset} of {size}") from exc


def _fragment(data: bytes | memoryview, offset: int) -> tuple[Data, int]:
    kind, seq, length, index, count = _FRAGMENT.unpack_from(data, offset)
    start = offset + _FRAGMENT.size
    end = start + length
    if end > len(data):
        raise RemoteProtocolError(f"fragment of {length} bytes has {len(data) - start}")
    if not (count > 1 and index < count and length > 0 and seq >= index):
        raise RemoteProtocolError(f"fragment {index} of {count}, {length} bytes, number {seq}")
    if length > FRAGMENT_BYTES:
        left = count - index - -(-length // FRAGMENT_BYTES)
        if left < 0 or (left and length % FRAGMENT_BYTES):
            raise RemoteProtocolError(f"{length} bytes as fragments from {index} on, of {count}")
    frame_type = Data if kind == Kind.FRAGMENT else Reply
    return _new(frame_type, (seq, index, count, memoryview(data)[start:end])), end


def _ack(data: bytes | memoryview, offset: int) -> Ack:
    ack = Ack._make(_ACK.unpack_from(data, offset)[1:])
    if ack.lane >= LANES or ack.acknowledged > ack.received:
        raise RemoteProtocolError(f"{ack}")
    return ack


def _control(data: bytes | memoryview, offset: int) -> tuple[Frame, int]:
    kind = data[offset]
    if kind == Kind.PING:
        return Ping(_NUMBER.unpack_from(data, offset)[1]), offset + _NUMBER.size
    if kind == Kind.PONG:
        return Pong(_NUMBER.unpack_from(data, offset)[1]), offset + _NUMBER.size
    if kind == Kind.HELLO:
        return _hello(data, offset), offset + _HELLO.size
    if kind not in (Kind.BYE, Kind.ASK):
        raise RemoteProtocolError(f"frame of unknown kind {kind:#04x}")
    value = _BYTE.unpack_from(data, offset)[1]
    end = offset + _BYTE.size
    if kind == Kind.BYE and value < len(ByeReason):
        return Bye(ByeReason(value)), end
    if kind == Kind.ASK and value < LANES and value != LATENCY_LANE:
        return Ask(value), end
    raise RemoteProtocolError(f"{Kind(kind).name} of {value}")


def _hello(data: bytes | memoryview, offset: int) -> Hello:
    _, version, incarnation, known, *received, max_bytes = _HELLO.unpack_from(data, offset)
    if version != VERSION:
        raise RemoteProtocolError(f"session version {version}, this side speaks {VERSION}")
    if not incarnation or max_bytes < FRAGMENT_BYTES:
        raise RemoteProtocolError(f"HELLO of incarnation {incarnation}, {max_bytes} bytes")
    return Hello(incarnation, known, tuple(received), max_bytes)


def data_head(seq: int, length: int, flag: int = 0) -> bytes:
    """What goes before the payload of a message that is one frame; see ``REPLY_FLAG``."""
    return _DATA.pack(0x01 ^ flag, seq, length)


def fragment_head(seq: int, length: int, index: int, count: int, *, flag: int = 0) -> bytes:
    """What goes before the payload of one fragment of many."""
    return _FRAGMENT.pack(0x81 ^ flag, seq, length, index, count)


def encode_ack(ack: Ack) -> bytes:
    return _ACK.pack(Kind.ACK, *ack)


def encode_hello(hello: Hello) -> bytes:
    return _HELLO.pack(
        Kind.HELLO,
        VERSION,
        hello.incarnation,
        hello.known,
        *hello.received,
        hello.max_message_bytes,
    )


def encode_ping(number: int) -> bytes:
    return _NUMBER.pack(Kind.PING, number)


def encode_pong(number: int) -> bytes:
    return _NUMBER.pack(Kind.PONG, number)


def encode_bye(reason: ByeReason) -> bytes:
    return _BYTE.pack(Kind.BYE, reason)


def encode_ask(lane: int) -> bytes:
    return _BYTE.pack(Kind.ASK, lane)
