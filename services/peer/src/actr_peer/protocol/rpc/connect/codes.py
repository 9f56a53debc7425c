"""Sans-I/O: errors of this system as those of the Connect protocol, one to one.

Connect names gRPC's codes in words, and gives each an HTTP status (connectrpc.com/docs/protocol,
*Error codes*).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.duration_pb2 import Duration

from actr_peer.errors import CallError, Code, PeerError
from actr_peer.protocol.rpc.call_errors import code_of as code_of_error
from actr_peer.protocol.rpc.call_errors import sendable

_RETRY_INFO: Final = "google.rpc.RetryInfo"

HTTP_STATUS: Mapping[Code, int] = MappingProxyType(
    {
        Code.CANCELLED: 499,
        Code.UNKNOWN: 500,
        Code.INVALID_ARGUMENT: 400,
        Code.DEADLINE_EXCEEDED: 504,
        Code.NOT_FOUND: 404,
        Code.ALREADY_EXISTS: 409,
        Code.PERMISSION_DENIED: 403,
        Code.RESOURCE_EXHAUSTED: 429,
        Code.FAILED_PRECONDITION: 400,
        Code.ABORTED: 409,
        Code.OUT_OF_RANGE: 400,
        Code.UNIMPLEMENTED: 501,
        Code.INTERNAL: 500,
        Code.UNAVAILABLE: 503,
        Code.DATA_LOSS: 500,
        Code.UNAUTHENTICATED: 401,
    }
)
"""Of a unary reply; a stream has 200, and its error in its last message."""

WORDS: Mapping[Code, str] = MappingProxyType(
    {code: "canceled" if code is Code.CANCELLED else code.name.lower() for code in Code}
)
"""As Connect writes them: all in small letters, and one with one l."""
_CODES: Mapping[str, Code] = MappingProxyType({word: code for code, word in WORDS.items()})


def code_of(word: str) -> Code | None:
    """The code that Connect writes so; None: it has no such word."""
    return _CODES.get(word)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a caller of the gateway is told of an error."""

    code: Code
    text: str
    details: tuple[tuple[str, bytes], ...] = ()
    """Full name of each message, and the message."""
    retry_after: int | None = None
    """Seconds, rounded up, for the header of this name; None: nobody knows."""


def said(error: PeerError) -> Said:
    """What Connect's caller is told of ``error``: its own code and details where an actor
    answered, else what kind of failure it is."""
    if not isinstance(error, CallError):
        return Said(code=code_of_error(error), text=str(error))
    error = sendable(error)  # its details can be read
    details = [_named(PackedAny.FromString(detail)) for detail in error.details]
    seconds = error.retry_after
    if seconds is not None:
        details.append((_RETRY_INFO, _retry_info(seconds)))
    return Said(
        code=error.code,
        text=error.message,
        details=tuple(details),
        retry_after=None if seconds is None else math.ceil(seconds),
    )


def _named(packed: PackedAny) -> tuple[str, bytes]:
    return packed.type_url.rpartition("/")[2], packed.value


def _retry_info(seconds: float) -> bytes:
    """A ``google.rpc.RetryInfo``: its first field is the delay."""
    delay = Duration()
    delay.FromMilliseconds(round(seconds * 1000))
    data = delay.SerializeToString()
    return bytes((0x0A, len(data))) + data
