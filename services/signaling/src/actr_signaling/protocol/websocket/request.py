"""Sans-I/O: whether an HTTP request is whole and may be read at all, before anybody parses it.

Parsers have bounds of their own, each another one, and each answers in another way or not at all;
and they have a page made as soon as they have its head, for who never sends the rest.
"""

from __future__ import annotations

import re
from enum import Enum, auto

MAX_HEAD_BYTES = 8 * 1024
MAX_HEADERS = 100
MAX_BODY_BYTES = 8 * 1024
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\ncontent-length[ \t]*:[ \t]*(\d{1,20})", re.IGNORECASE)
_FOLD = re.compile(rb"\n[ \t]")
_EXPECTS = re.compile(rb"\nexpect[ \t]*:[ \t]*100-continue[ \t]*\r", re.IGNORECASE)
_CODING = re.compile(rb"\ntransfer-encoding[ \t]*:", re.IGNORECASE)


class Standing(Enum):
    """Of a connection's only request; what is not to be parsed has its status (RFC 9110, 6585)."""

    PARTIAL = auto()
    WHOLE = auto()
    FOLDED = b"400 Bad Request"
    """A header field over several lines (RFC 9112, section 5.2): parsers differ in what it says."""
    HEAD_TOO_LARGE = b"431 Request Header Fields Too Large"
    BODY_TOO_LONG = b"413 Content Too Large"
    UNSIZED = b"411 Length Required"
    """A body in chunks: whoever speaks to this service knows how long its request is."""


def judge(data: bytes | bytearray) -> Standing:
    """Judge what has come, from the first byte on; what follows a whole request is not looked at.

    A length that cannot be read is left to the parser, which has words for it.
    """
    end = data.find(_END, 0, MAX_HEAD_BYTES + len(_END))
    if end < 0:
        return Standing.HEAD_TOO_LARGE if len(data) > MAX_HEAD_BYTES else Standing.PARTIAL
    if data.count(b"\n", 0, end) > MAX_HEADERS:
        return Standing.HEAD_TOO_LARGE
    if _FOLD.search(data, 0, end):
        return Standing.FOLDED
    if _CODING.search(data, 0, end):
        return Standing.UNSIZED
    length = _LENGTH.search(data, 0, end)
    expected = int(length[1]) if length else 0
    if expected > MAX_BODY_BYTES:
        return Standing.BODY_TOO_LONG
    is_whole = len(data) >= end + len(_END) + expected
    return Standing.WHOLE if is_whole else Standing.PARTIAL


def expects(data: bytes | bytearray) -> bool:
    """Whether the head is whole and its body comes only after a word (RFC 9110, section 10.1.1)."""
    end = data.find(_END, 0, MAX_HEAD_BYTES + len(_END))
    return end >= 0 and _EXPECTS.search(data, 0, end + 2) is not None
