"""Sans-I/O: a long message of the service, which lists actors, read one actor at a time.

Eight megabytes of one message hold the loop for seconds when they are decoded at once, and for
ten where they are one actor's metadata. So the long ones are walked field by field, what is too
long to be an actor is passed over, and whoever reads can stop after each.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError

from actr import signaling_pb2 as pb
from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.rpc.bounds import read_varint
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.protocol.signaling.reading import MAX_PRESENT, ReadPresence, read_presence

LONG_BYTES = 72 * 1024
"""No message but a listing is longer: a relay has at most 64 KiB, and its head."""
MAX_PRESENCE_BYTES = 64 * 1024
"""Of one actor: the service takes no longer message from it."""
Result = TypeVar("Result")
_REPLY_TO = 1  # of ServerMessage
_SNAPSHOT, _DISCOVERED = 6, 8  # of ServerMessage
_TYPE, _VERSION, _PRESENT = 1, 2, 3  # of PresenceSnapshot
_FOUND, _NEXT = 1, 2  # of Discovered


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A snapshot, or what a discovery has found: that has no type and no version."""

    reply_to: int
    is_snapshot: bool
    actr_type: str
    version: int
    present: tuple[Presence, ...]
    next: str = ""
    """What asks for those behind them, of what a discovery has found."""


def exhaust(steps: Generator[None, None, Result]) -> Result:
    """Take all steps at once; return what they come to."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


def read_listing(data: bytes, read: ReadPresence = read_presence) -> Generator[None, None, Listing]:
    """Read a snapshot or what a discovery has found; stops after each field.

    Args:
        read: Reads each actor.

    Raises:
        RemoteProtocolError: If it is another message, or cannot be decoded.
    """
    number = kind = start = end = 0
    for field, begins, ends, value in _walk(data, 0, len(data)):
        if field == _REPLY_TO:
            number = value
        elif kind or field not in (_SNAPSHOT, _DISCOVERED):
            raise RemoteProtocolError(f"a message of {len(data)} bytes that lists no actors")
        else:
            kind, start, end = field, begins, ends
    actr_type, version, following, present = "", 0, "", list[Presence]()
    listed = _PRESENT if kind == _SNAPSHOT else _FOUND
    for count, (field, begins, ends, value) in enumerate(_walk(data, start, end)):
        if count > MAX_PRESENT:
            break
        if field == listed:
            present += _read(data, begins, ends, read)
        elif kind == _DISCOVERED and field == _NEXT:
            following = data[begins:ends].decode(errors="replace")
        elif field == _TYPE:
            actr_type = data[begins:ends].decode(errors="replace")
        elif field == _VERSION:
            version = value
        yield
    return Listing(
        reply_to=number,
        is_snapshot=kind == _SNAPSHOT,
        actr_type=actr_type,
        version=version,
        present=tuple(present),
        next=following,
    )


def _read(data: bytes, begins: int, ends: int, read: ReadPresence) -> Iterator[Presence]:
    """The actor, unless it cannot be one: another peer's mistake."""
    if ends - begins > MAX_PRESENCE_BYTES:
        return
    try:
        body = pb.Presence.FromString(data[begins:ends])
    except DecodeError as exc:
        raise RemoteProtocolError("an actor that cannot be decoded") from exc
    presence = read(body)
    if presence is not None:
        yield presence


def _walk(data: bytes, offset: int, size: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, where the value begins and ends, and the value of a varint, of each field."""
    while offset < size:
        value = 0
        try:
            tag, begins = read_varint(data, offset)
            match tag & 7:
                case 0:
                    value, offset = read_varint(data, begins)
                case 2:
                    length, begins = read_varint(data, begins)
                    offset = begins + length
                case kind:
                    raise RemoteProtocolError(f"a field of kind {kind} in a listing")
        except IndexError:
            offset = size + 1
        if offset > size:
            raise RemoteProtocolError(f"a message of {len(data)} bytes is cut short")
        yield tag >> 3, begins, offset, value
