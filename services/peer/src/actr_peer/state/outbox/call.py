"""A durable call that waits for its reply, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from actr_peer.errors import CallError
from actr_peer.protocol.payload import PayloadType

Encode = Callable[[int, int, int], bytes]
"""Makes the envelope from call number, low-water mark and store id."""
Saved = Callable[[CallError | None], None]
"""Hears that a call is on disk, or why it is not."""


@dataclass(slots=True, kw_only=True)
class OpenCall:
    """A call that was accepted and has no reply yet."""

    call_key: str
    """The application's name for it, by which it is found after a restart."""
    remote: str
    """The callee's id in text form."""
    request_id: str
    payload_type: PayloadType
    route_key: str
    is_tell: bool = False
    """Nobody will take the reply."""
    number: int = 0
    size: int = 0
    """Bytes of the envelope, about, before it is made."""
    envelope: bytes = b""
    """As sent, and to be sent again."""
    is_saved: bool = field(default=False, compare=False)
    """Its row is committed."""
