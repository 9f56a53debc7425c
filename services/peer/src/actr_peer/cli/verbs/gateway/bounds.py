"""What a stranger may cost a gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_HEADER_BYTES: Final = 16 * 1024
"""Names and values of one request together."""
MAX_CONNECTIONS: Final = 1024
MAX_OF_HOST: Final = MAX_CONNECTIONS // 2
"""Connections of one address, or of one /64 of IPv6."""
SPARE_DESCRIPTORS: Final = 128
"""Kept for wires, signaling and files when connections would take all."""
MAX_STREAMS: Final = 100
"""Of one HTTP/2 connection at a time: RFC 9113 advises no fewer."""
IDLE_SECONDS: Final = 30.0
"""That a connection may be without a request, or take for the head of one."""
STALL_SECONDS: Final = 30.0
"""That a caller may take nothing of a reply that waits, or send nothing of a request that is begun;
then its connection is cut, with what else runs on it."""
PIECE_BYTES: Final = 64 * 1024
"""Of a reply that is sent: each piece may take that long."""
DEAD_SECONDS: Final = STALL_SECONDS + 10
"""Without an acknowledgement, after which the kernel ends a connection: later than a stall does."""
FLUSH_SECONDS: Final = 1.0
"""For what is unsent of an idle connection that is closed."""
GONE_SECONDS: Final = 1.0
"""For what a caller that has left had sent before; then its calls are cancelled."""
REQUEST_SECONDS: Final = 60.0
"""For the whole of a request that is one message."""
DRAINED_BYTES: Final = 1024 * 1024
"""Of a request that nobody reads any more, so that its caller reads why; then it is cut."""
DRAIN_SECONDS: Final = 2.0
MAX_JSON_BYTES: Final = 1024 * 1024
"""Of one message: JSON takes the loop fifty times as long as protobuf."""
MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""The longest that an actor takes."""
RESOLVE_SECONDS: Final = 10.0
"""To find an actor and ask for its contract, where the caller gives no time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the operator may set."""

    message_bytes: int = 4 * 1024 * 1024
    """Of one request."""
    calls: int = 256
    """That run at a time."""
    grace: float = 10.0
    """Seconds for calls that run when the gateway is asked to stop."""


DEFAULT: Final = Bounds()
