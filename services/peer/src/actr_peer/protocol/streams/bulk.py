"""Sans-I/O: the data of a long ``StreamChunk``, past the library: each way through it copies all.

What is written here is the same message with its fields in another order, which every decoder
takes; what is read here is what any encoder writes.
"""

from __future__ import annotations

from collections.abc import Iterable

BULK_BYTES = 4 * 1024
"""Shorter data costs less by the library."""
_DATA = 3
_DATA_TAG = 0x1A
"""Number 3, its length before it, in one byte."""


def is_bulk(data: object) -> bool:
    """Whether ``data`` is worth the way past the library; other types than bytes are for it."""
    return type(data) is bytes and len(data) >= BULK_BYTES


def append(head: bytes, data: bytes) -> bytes:
    """``head``, a serialized chunk without data, and ``data`` as its last field."""
    size = len(data)
    field = bytearray((_DATA_TAG,))
    while size > 0x7F:
        field.append(size & 0x7F | 0x80)
        size >>= 7
    field.append(size)
    return b"".join((head, field, data))


def cut_out(message: bytes, fields: Iterable[tuple[int, int, int]]) -> tuple[bytes, bytes]:
    """A serialized chunk without its data, and the data.

    Args:
        message: Whole.
        fields: Number, beginning and end of each value, in order, that of the data at most once;
            none: the library is to read all, as it is where the tag is written in an odd way.
    """
    before = 0
    for number, start, end in fields:
        if number == _DATA and end - start >= BULK_BYTES and message[before] == _DATA_TAG:
            return message[:before] + message[end:], message[start:end]
        before = end
    return message, b""
