"""Sans-I/O: what one replica has for another in one turn of its loop, as one message.

::

    batch   sender (16 characters) item*
    parcel  1 (u8) number (u64) length of to (u8) length of source (u8) length of data (u32)
            to source data
    answer  2 (u8) number (u64) reason (u8, 0: handed over)

Big endian. Ids have at most 255 characters, a relay at most the 64 KiB of a client's message.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from actr_signaling.errors import BadMessageError
from actr_signaling.protocol.presence.stored import REPLICA_CHARACTERS
from actr_signaling.protocol.relay.routing import Undelivered

_PARCEL = struct.Struct(">BQBBI")
_ANSWER = struct.Struct(">BQB")
_PARCEL_KIND = 1
_ANSWER_KIND = 2


class Parcel(NamedTuple):  # as below: there are many
    """One relay between replicas."""

    number: int
    """Chosen by the sending replica, rising."""
    to: str
    """Text form of the target's id."""
    source: str
    data: bytes
    """The ServerMessage for the target, ready to send."""


class Answer(NamedTuple):
    """What became of a parcel; None: handed over."""

    number: int
    reason: Undelivered | None


Item = Parcel | Answer


def pack_item(item: Item) -> bytes:
    if isinstance(item, Answer):
        reason = 0 if item.reason is None else item.reason.value
        return _ANSWER.pack(_ANSWER_KIND, item.number, reason)
    to, source = item.to.encode(), item.source.encode()
    head = _PARCEL.pack(_PARCEL_KIND, item.number, len(to), len(source), len(item.data))
    return b"".join((head, to, source, item.data))


def pack(sender: str, items: Iterable[bytes]) -> bytes:
    """Join packed items into one batch, in order."""
    return b"".join((sender.encode(), *items))


def unpack(data: bytes) -> tuple[str, Iterator[Item]]:
    """Read a batch: its sender, and its items in order, read one by one.

    Raises:
        BadMessageError: If it is malformed, also from the iterator, after the good items.
    """
    if len(data) < REPLICA_CHARACTERS:
        raise BadMessageError("a batch without a sender")
    return data[:REPLICA_CHARACTERS].decode("ascii", "replace"), _items(data)


def _items(data: bytes) -> Iterator[Item]:
    at = REPLICA_CHARACTERS
    try:
        while at < len(data):
            if data[at] == _ANSWER_KIND:
                _, number, reason = _ANSWER.unpack_from(data, at)
                at += _ANSWER.size
                yield Answer(number, Undelivered(reason) if reason else None)
            elif data[at] == _PARCEL_KIND:
                _, number, to_length, source_length, length = _PARCEL.unpack_from(data, at)
                to_end = at + _PARCEL.size + to_length
                source_end = to_end + source_length
                end = source_end + length
                if end > len(data):
                    raise BadMessageError("a batch that ends in a parcel")
                to = data[to_end - to_length : to_end].decode()
                source = data[to_end:source_end].decode()
                at = end
                yield Parcel(number, to, source, data[source_end:end])
            else:
                raise BadMessageError(f"a batch item of kind {data[at]}")
    except (struct.error, ValueError) as exc:
        raise BadMessageError("a batch that cannot be read") from exc
