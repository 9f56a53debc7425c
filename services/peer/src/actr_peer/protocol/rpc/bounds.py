"""Sans-I/O: the bounds of what travels on lanes, held before anything is decoded.

Decoding makes an object of each entry, so eight megabytes of empty ones would hold the loop for a
second. A message that is longer than what cannot do harm is read over first: field by
field, without going into any, and no further than the bounds reach.

These are all the bounds of an ``RpcEnvelope``; strings are counted in characters once they are
decoded, and four bytes for each before.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeGuard

from actr_peer.errors import LocalProtocolError, RemoteProtocolError

MAX_ID_CHARS = 64
"""Of request ids, channel ids, and each id in a call chain."""
MAX_ROUTE_CHARS = 256
MAX_METADATA_ENTRIES = 64
MAX_METADATA_BYTES = 8 * 1024
"""Keys and values of all entries together, as UTF-8."""
MAX_CALL_CHAIN = 32
MAX_TRACEPARENT_CHARS = 128
"""Level 1 of W3C Trace Context has 55."""
MAX_TRACESTATE_CHARS = 1024
MAX_ERROR_BYTES = 128 * 1024
"""Of an error, with its details."""
MAX_CALL_NUMBER = (1 << 63) - 1
"""What a table keeps; nobody makes so many calls."""
MAX_FIELDS = 256
"""Of one message, those that are unknown here among them."""
MAX_UNKNOWN_BYTES = 64 * 1024
"""Of all fields of one number that is unknown here."""
UNSCANNED_BYTES = 16 * 1024
"""What is no longer than this is decoded at once: that cannot take long."""

_ENTRY_BYTES = 16
"""What an entry of a map adds to its key and value, and some room."""


class Bound(NamedTuple):
    """Of all fields of one number."""

    times: int
    size: int
    """Bytes."""


def _text(most: int, times: int = 1) -> Bound:
    return Bound(times, 4 * most * times)


_METADATA = Bound(MAX_METADATA_ENTRIES, MAX_METADATA_BYTES + _ENTRY_BYTES * MAX_METADATA_ENTRIES)
_PAYLOAD = Bound(1, 1 << 32)

ENVELOPE: Mapping[int, Bound] = MappingProxyType(
    {
        1: _text(MAX_ID_CHARS),
        3: _text(MAX_ROUTE_CHARS),
        4: _PAYLOAD,
        5: Bound(1, MAX_ERROR_BYTES),
        6: _METADATA,
        8: _text(MAX_TRACEPARENT_CHARS),
        9: _text(MAX_TRACESTATE_CHARS),
        10: _text(2 * MAX_ID_CHARS),
        14: _text(MAX_ID_CHARS, MAX_CALL_CHAIN),
    }
)
"""By the field numbers of ``RpcEnvelope``."""

CHUNK: Mapping[int, Bound] = MappingProxyType(
    {1: _text(MAX_ID_CHARS), 3: _PAYLOAD, 4: _METADATA, 6: Bound(1, MAX_ERROR_BYTES)}
)
"""By the field numbers of ``StreamChunk``."""

_OTHER = Bound(MAX_FIELDS, MAX_UNKNOWN_BYTES)
_REQUEST_ID, _DIRECTION = 1, 2
_CHANNEL_ID, _OPENING = 1, 9


def is_utf8(value: object) -> TypeGuard[str]:
    """Whether ``value`` is a text that can be sent: with half of a surrogate pair it cannot."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def is_plain(value: object) -> bool:
    """Whether ``value`` is a text that metadata and keys may be: of UTF-8, without a zero."""
    return is_utf8(value) and "\0" not in value


def check_texts(metadata: object) -> None:
    """Hold metadata that a user gives to what they are.

    Raises:
        LocalProtocolError: If they are no mapping of texts in UTF-8, without a zero.
    """
    if not isinstance(metadata, Mapping):
        raise LocalProtocolError(f"metadata = {metadata!r}: must be a mapping of texts")
    for key, value in metadata.items():
        if not (is_plain(key) and is_plain(value)):
            raise LocalProtocolError(
                f"metadata {key!r}: {value!r}: must be texts in UTF-8, without a zero"
            )


def check(data: bytes, bounds: Mapping[int, Bound]) -> list[tuple[int, int, int]]:
    """Hold a serialized message to its bounds, without decoding it.

    Returns:
        Number, and where the value begins and ends, of each field; none of a message so short
        that it was not read over.

    Raises:
        RemoteProtocolError: If it breaks one, or is no protobuf message.
    """
    if len(data) <= UNSCANNED_BYTES:
        return []
    seen: dict[int, tuple[int, int]] = {}
    fields = _fields(data)
    for number, start, end in fields:
        count, size = seen.get(number, (0, 0))
        count, size = seen[number] = count + 1, size + end - start
        bound = bounds.get(number, _OTHER)
        if count > bound.times or size > bound.size:
            raise RemoteProtocolError(f"field {number} of a message: {count} of {size} bytes")
    return fields


def request_id_of(data: bytes) -> str:
    """Whom to tell that an envelope breaks the rules: the id of its request.

    Returns:
        "" if it is no request, or has no id that a reply could carry.
    """
    found = ""
    try:
        for number, start, end in _fields(data):
            if number == _REQUEST_ID and end - start <= 4 * MAX_ID_CHARS:
                found = data[start:end].decode()
            elif number == _DIRECTION and data[start:end] != b"\0":
                return ""
    except (RemoteProtocolError, UnicodeDecodeError):
        return ""
    return found if len(found) <= MAX_ID_CHARS else ""


def channel_of(data: bytes) -> tuple[str, int] | None:
    """Which channel and opening a chunk that breaks the rules is of; None: nobody can say."""
    channel_id, opening = "", 0
    try:
        for number, start, end in _fields(data):
            if number == _CHANNEL_ID and end - start <= 4 * MAX_ID_CHARS:
                channel_id = data[start:end].decode()
            elif number == _OPENING:
                opening, _ = read_varint(data, start)
    except (RemoteProtocolError, UnicodeDecodeError, IndexError):
        return None
    return (channel_id, opening) if 0 < len(channel_id) <= MAX_ID_CHARS else None


def _fields(data: bytes) -> list[tuple[int, int, int]]:
    """Number, and where the value begins and ends, of each field of a message.

    Raises:
        RemoteProtocolError: If there are more than ``MAX_FIELDS``, or it is no message.
    """
    found: list[tuple[int, int, int]] = []
    offset, size = 0, len(data)
    try:
        while offset < size:
            if len(found) >= MAX_FIELDS:
                raise RemoteProtocolError(f"a message of over {MAX_FIELDS} fields")
            tag, start = read_varint(data, offset)
            match tag & 7:
                case 2:
                    length, start = read_varint(data, start)
                    offset = start + length
                case 0:
                    _, offset = read_varint(data, start)
                case 1:
                    offset = start + 8
                case 5:
                    offset = start + 4
                case kind:
                    raise RemoteProtocolError(f"a field of kind {kind}")
            found.append((tag >> 3, start, offset))
    except IndexError:
        offset = size + 1
    if offset > size:
        raise RemoteProtocolError(f"a message of {size} bytes is cut short")
    return found


def read_varint(data: bytes, offset: int) -> tuple[int, int]:
    """The number at ``offset``, and where what follows begins.

    Raises:
        IndexError: If it is cut short.
        RemoteProtocolError: If it is none.
    """
    value = data[offset]
    if value < 0x80:  # nearly always
        return value, offset + 1
    value = shift = 0
    while True:
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
        shift += 7
        if shift > 63:
            raise RemoteProtocolError("a number of over ten bytes")
