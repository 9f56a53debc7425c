"""Sans-I/O: why a WebSocket closes, on wires and towards signaling (spec 9).

Codes from 4000 are ours to define (RFC 6455, 7.4.2).
"""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    NORMAL = 1000
    GOING_AWAY = 1001
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
    TOO_MANY = 4429
