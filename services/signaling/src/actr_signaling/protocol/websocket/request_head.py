"""Sans-I/O: whether the head of an HTTP request may be read at all, before anybody parses it.

Parsers have bounds of their own, each another one, and each answers in another way or not at all.
"""

from __future__ import annotations

from enum import Enum, auto

MAX_HEAD_BYTES = 8 * 1024
MAX_HEADERS = 100
_END = b"\r\n\r\n"


class Head(Enum):
    PARTIAL = auto()
    WHOLE = auto()
    TOO_LARGE = auto()
    """Answer 431 (RFC 6585, section 5)."""


def judge(data: bytes | bytearray) -> Head:
    """Judge what has come of a connection's only request, from its first byte on."""
    end = data.find(_END, 0, MAX_HEAD_BYTES + len(_END))
    if end < 0:
        return Head.TOO_LARGE if len(data) > MAX_HEAD_BYTES else Head.PARTIAL
    if data.count(b"\n", 0, end) > MAX_HEADERS:
        return Head.TOO_LARGE
    return Head.WHOLE
