"""Sans-I/O: an error as a whole HTTP reply, where a call ends before the protocol begins."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Final

from actr_peer.errors import Code
from actr_peer.protocol.rpc.connect.codes import HTTP_STATUS, WORDS, Said

STREAMING: Final = "application/connect+"
UNARY_TYPES: Final = ("application/json", "application/proto")
STREAM_TYPES: Final = (f"{STREAMING}json", f"{STREAMING}proto")
_END: Final = 0b10
"""Flag of a stream's last message."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent, whole."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def content_type_of(text: str) -> str:
    """Without its parameters, in small letters."""
    return text.partition(";")[0].strip().lower()


def refusal(told: Said, content_type: str) -> Reply:
    """The reply that tells an error.

    Args:
        content_type: Of the request: one of a stream is answered by a stream of nothing but its
            end, for its client reads no other.
    """
    error: dict[str, Any] = {"code": WORDS[told.code], "message": told.text}
    if told.details:
        error["details"] = [
            {"type": name, "value": b64encode(value).decode().rstrip("=")}
            for name, value in told.details
        ]
    more: list[tuple[str, str]] = []
    if told.retry_after is not None:
        more.append(("retry-after", str(told.retry_after)))
    if content_type in STREAM_TYPES:
        data = json.dumps({"error": error}).encode()
        body = struct.pack(">BI", _END, len(data)) + data
        return Reply(200, (("content-type", content_type), *more), body)
    if told.code is Code.UNAUTHENTICATED:
        more.append(("www-authenticate", "Bearer"))
    headers = (("content-type", "application/json"), *more)
    return Reply(HTTP_STATUS[told.code], headers, json.dumps(error).encode())
