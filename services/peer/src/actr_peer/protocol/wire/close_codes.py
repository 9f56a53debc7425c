"""Sans-I/O: why a WebSocket closes, on wires and towards signaling.

Codes from 4000 are ours to define (RFC 6455, 7.4.2).
"""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL = 1002
    """What breaks RFC 6455 itself; what breaks what is said over it is 4400."""
    TOO_LONG = 1009
    """A frame over the library's bound; what this code's own checks refuse is 4413."""
    INTERNAL = 1011
    RESTART = 1012
    BAD_MESSAGE = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    NOT_HERE = 4404
    """The actor asked for is not the one that listens here."""
    TIMED_OUT = 4408
    REPLACED = 4409
    TOO_BIG = 4413
    TOO_FAST = 4429


def is_sendable(code: int) -> bool:
    """Whether a close frame may hold ``code`` (RFC 6455, section 7.4): 1005 and 1006 say that
    there was none.
    """
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
