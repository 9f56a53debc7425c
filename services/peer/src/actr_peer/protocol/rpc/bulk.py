"""Sans-I/O: one long field of a message, past the library: each way through it copies all.

What is written here is the same message with its fields in another order, which every decoder
takes; what is read here is what any encoder writes.
"""

from __future__ import annotations

from collections.abc import Iterable

BULK_BYTES = 4 * 1024
"""Shorter data costs less by the library."""
_LENGTH_FIRST = 2
"""How a field of bytes is written, in the last bits of its tag."""


def is_bulk(data: object) -> bool:
    """Whether ``data`` is worth the way past the library; other types than bytes are for it."""
    return type(data) is bytes and len(data) >= BULK_BYTES


def append(head: bytes, number: int, data: bytes) -> bytes:
    """``head``, a serialized message without this field, and ``data`` as its last field.

    Args:
        number: Of the field, below 16.
    """
    size = len(data)
    field = bytearray((_tag(number),))
    while size > 0x7F:
        field.append(size & 0x7F | 0x80)
        size >>= 7
    field.append(size)
    return b"".join((head, field, data))


def cut_out(
    message: bytes, number: int, fields: Iterable[tuple[int, int, int]]
) -> tuple[bytes, bytes]:
    """A serialized message without this field, and what it holds.

    Args:
        message: Whole.
        number: Of the field, below 16.
        fields: Number, beginning and end of each value, in order, this one at most once; none:
            the library is to read all, as it is where the tag is written in an odd way.
    """
    before = 0
    for found, start, end in fields:
        if found == number and end - start >= BULK_BYTES and message[before] == _tag(number):
            return message[:before] + message[end:], message[start:end]
        before = end
    return message, b""


def _tag(number: int) -> int:
    return number << 3 | _LENGTH_FIRST
