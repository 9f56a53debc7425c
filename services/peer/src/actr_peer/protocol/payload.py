"""Sans-I/O: the five payload types and the one table that everybody reads (docs/architecture.md).

A value is the byte on the wire, the id of the data channel, and the index of a lane's slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from types import MappingProxyType


class PayloadType(IntEnum):
    """What kind of traffic a message is (``actr/options.proto``)."""

    RPC_RELIABLE = 0
    RPC_SIGNAL = 1
    STREAM_RELIABLE = 2
    STREAM_LATENCY_FIRST = 3
    MEDIA_RTP = 4


class WireKind(Enum):
    """A way for bytes to reach another process."""

    WEBRTC = "webrtc"
    WEBSOCKET = "websocket"
    RELAYED = "relayed"
    """Through the signaling service: the last resort."""


class Path(Enum):
    """What happens at the receiver."""

    STATE = auto()
    """Mailbox, scheduler, a handler with a Context."""
    FAST = auto()
    """A callback, with no mailbox and no Context."""


class Overflow(Enum):
    """What a full queue does."""

    WAIT = auto()
    DROP_OLDEST = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One row of the table."""

    path: Path
    wires: frozenset[WireKind]
    """Wires that can carry it; the operator's order says which is preferred."""
    overflow: Overflow
    is_ordered: bool
    rank: int
    """Order of sending, 0 first: a lane sends only while no lane of lower rank waits."""
    tries: int
    """How often a call is sent, on transient failures only."""
    lifetime: float | None = None
    """Seconds after which an item is not worth sending; None: for ever."""


_ALL = frozenset(WireKind)

TRAFFIC: Mapping[PayloadType, Traffic] = MappingProxyType(
    {
        PayloadType.RPC_RELIABLE: Traffic(
            path=Path.STATE, wires=_ALL, overflow=Overflow.WAIT, is_ordered=True, rank=1, tries=5
        ),
        PayloadType.RPC_SIGNAL: Traffic(
            path=Path.STATE, wires=_ALL, overflow=Overflow.WAIT, is_ordered=True, rank=0, tries=2
        ),
        PayloadType.STREAM_RELIABLE: Traffic(
            path=Path.FAST, wires=_ALL, overflow=Overflow.WAIT, is_ordered=True, rank=3, tries=1
        ),
        # WebRTC forbids a retransmit limit beside the lifetime (RFC 8832, 5.1).
        PayloadType.STREAM_LATENCY_FIRST: Traffic(
            path=Path.FAST,
            wires=_ALL,
            overflow=Overflow.DROP_OLDEST,
            is_ordered=False,
            rank=2,
            tries=1,
            lifetime=0.1,
        ),
        PayloadType.MEDIA_RTP: Traffic(
            path=Path.FAST,
            wires=frozenset({WireKind.WEBRTC}),
            overflow=Overflow.DROP_OLDEST,
            is_ordered=True,
            rank=4,
            tries=1,
        ),
    }
)

BYTE_LANES: tuple[PayloadType, ...] = (
    PayloadType.RPC_RELIABLE,
    PayloadType.RPC_SIGNAL,
    PayloadType.STREAM_RELIABLE,
    PayloadType.STREAM_LATENCY_FIRST,
)
RELIABLE_LANES: tuple[PayloadType, ...] = BYTE_LANES[:3]
RPC_LANES: tuple[PayloadType, ...] = BYTE_LANES[:2]
STREAM_LANES: tuple[PayloadType, ...] = BYTE_LANES[2:]

WIRE_MESSAGE_BYTES = 16 * 1024
"""Longest wire message that every far side takes: small enough that an urgent one overtakes."""
MAX_WIRE_MESSAGE_BYTES: Mapping[WireKind, int] = MappingProxyType(
    {
        WireKind.WEBRTC: WIRE_MESSAGE_BYTES,
        WireKind.WEBSOCKET: 80 * 1024,
        WireKind.RELAYED: WIRE_MESSAGE_BYTES,
    }
)
"""Longest wire message taken here; a far side is told where it is more than all take. Each costs
tens of microseconds on either side: an item of 64 KiB fits into one, with the heads of its five
frames and all acknowledgements beside it."""

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
