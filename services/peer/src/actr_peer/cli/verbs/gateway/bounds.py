"""What a stranger may cost a gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_HEADER_BYTES: Final = 16 * 1024
"""Names and values of one request together."""
MAX_CONNECTIONS: Final = 1024
MAX_STREAMS: Final = 100
"""Of one HTTP/2 connection at a time: RFC 9113 advises no fewer."""
IDLE_SECONDS: Final = 30.0
"""That a connection may be without a request, or take for the head of one."""
STALL_SECONDS: Final = 30.0
"""That a caller may take nothing of a reply that waits, or send nothing of a request that is begun;
then its connection is cut, with what else runs on it."""
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
