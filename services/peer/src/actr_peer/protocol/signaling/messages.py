"""Sans-I/O: what the service says, from bytes to dataclasses.

What the service sends is bounded by the socket and checked here: a message that cannot be used
is a :class:`RemoteProtocolError`, not a crash. Bodies of a later version are unknown, not wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from google.protobuf.message import DecodeError

from actr import signaling_pb2 as pb
from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling.listing import LONG_BYTES, exhaust, read_listing
from actr_peer.protocol.signaling.presence import (
    Change,
    Presence,
    PresenceEvent,
    Reason,
)
from actr_peer.protocol.signaling.reading import (
    MAX_TEXT,
    ReadPresence,
    read_ice_servers,
    read_presence,
    read_present,
)
from actr_peer.protocol.webrtc.messages import unpack_negotiate
from actr_peer.protocol.webrtc.negotiation import IceServer, NegotiateMessage

MAX_RELAYED_BYTES = 64 * 1024
"""Of one relay: the service takes no longer message from a peer."""

NONCE_BYTES = 32
"""Of the greeting. No other length: the proof has no mark where the nonce begins and ends."""


@dataclass(frozen=True, slots=True)
class Hello:
    nonce: bytes
    server_id: str
    proof_required: bool
    max_message_bytes: int
    """Largest message that the service takes; 0: not said."""
    certificate_required: bool = False
    time: float = 0.0
    """Unix time in seconds at the service; 0: not said, and it knows no certificates."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    pass


@dataclass(frozen=True, slots=True)
class Registered:
    session_id: str
    epoch: int
    heartbeat: float
    """Seconds between heartbeats."""
    ice_servers: tuple[IceServer, ...]
    took_over: bool = False
    """Another process held the identity until now."""


@dataclass(frozen=True, slots=True)
class HeartbeatAck:
    ice_servers: tuple[IceServer, ...]
    """Fresh ones, or none where the old ones still serve."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    actr_type: str
    version: int
    present: tuple[Presence, ...]


@dataclass(frozen=True, slots=True)
class Discovered:
    found: tuple[Presence, ...]
    next: str = ""
    """What asks for those behind them; empty: there are none."""


@dataclass(frozen=True, slots=True)
class Receipt:
    pass


class WhyUndelivered(Enum):
    """Values as on the wire."""

    UNKNOWN = 0
    OFFLINE = 1
    NOT_ALLOWED = 2
    EXPIRED = 3
    OVERLOADED = 4


@dataclass(frozen=True, slots=True)
class Undelivered:
    reason: WhyUndelivered


@dataclass(frozen=True, slots=True)
class Relayed:
    source: ActrId
    incarnation: int
    negotiate: NegotiateMessage


@dataclass(frozen=True, slots=True)
class Replaced:
    epoch: int


@dataclass(frozen=True, slots=True)
class GoAway:
    after: float
    """Seconds."""
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """One message was refused; the connection stays unless a close follows."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Done:
    pass


Body = (
    Hello
    | Authenticated
    | Registered
    | HeartbeatAck
    | Snapshot
    | PresenceEvent
    | Discovered
    | Receipt
    | Undelivered
    | Relayed
    | Replaced
    | GoAway
    | Refusal
    | Done
)


def decode(data: bytes, read: ReadPresence = read_presence) -> tuple[int, Body | None]:
    """Read one server message: the number it answers (0: none), and its body.

    The body is None for a kind that this version does not know, and for a relay or presence
    that the actor which it is from got wrong.

    Args:
        read: Reads each actor that is said to be online, and leaves out who is not believed.

    Raises:
        RemoteProtocolError: If it cannot be decoded or a part of it cannot be used.
    """
    if len(data) > LONG_BYTES:
        return exhaust(decode_long(data, read))
    try:
        message = pb.ServerMessage.FromString(data)
    except DecodeError as exc:
        raise RemoteProtocolError("a server message that cannot be decoded") from exc
    kind = message.WhichOneof("body")
    return message.reply_to, None if kind is None else _READERS[kind](message, read)


def decode_long(
    data: bytes, read: ReadPresence = read_presence
) -> Generator[None, None, tuple[int, Body | None]]:
    """The same for a message over ``LONG_BYTES``, a little at each step.

    Raises:
        RemoteProtocolError: As :func:`decode`, and if it is one that may not be so long.
    """
    listing = yield from read_listing(data, read)
    if listing.is_snapshot:
        body: Body = Snapshot(listing.actr_type, listing.version, listing.present)
    else:
        body = Discovered(listing.present, listing.next)
    return listing.reply_to, body


def _hello(message: pb.ServerMessage, read: ReadPresence) -> Hello:
    body = message.hello
    if len(body.nonce) != NONCE_BYTES:
        raise RemoteProtocolError(f"a greeting with a nonce of {len(body.nonce)} bytes")
    if len(body.server_id) > MAX_TEXT:
        raise RemoteProtocolError("a greeting with a name that is too long")
    return Hello(
        body.nonce,
        body.server_id,
        body.proof_required,
        body.max_message_bytes,
        body.certificate_required,
        body.time_ms / 1000,
    )


def _registered(message: pb.ServerMessage, read: ReadPresence) -> Registered:
    body = message.registered
    servers = read_ice_servers(body.ice_servers)
    heartbeat = body.heartbeat_interval_ms / 1000
    return Registered(body.session_id, body.epoch, heartbeat, servers, body.took_over)


def _snapshot(message: pb.ServerMessage, read: ReadPresence) -> Snapshot:
    body = message.snapshot
    return Snapshot(body.actr_type, body.version, read_present(body.present, read))


def _event(message: pb.ServerMessage, read: ReadPresence) -> PresenceEvent | None:
    body = message.presence
    # Nobody can sign that it has left: only the id and the epoch of it are used.
    is_leave = body.kind == pb.PresenceEvent.LEAVE
    presence = (read_presence if is_leave else read)(body.presence)
    if presence is None:
        return None  # another peer's mistake, or nobody who is believed
    kind = pb.PresenceEvent.Kind.Name(body.kind) if body.kind in _KINDS else "UPDATE"
    reason = pb.PresenceEvent.Reason.Name(body.reason) if body.reason in _REASONS else "NONE"
    return PresenceEvent(Change[kind], presence, body.version, Reason[reason])


def _relayed(message: pb.ServerMessage, read: ReadPresence) -> Relayed | None:
    body = message.relayed
    if body.ByteSize() > MAX_RELAYED_BYTES:
        return None  # no peer could send it
    try:
        source = ActrId.from_message(getattr(body, "from"))
        return Relayed(source, body.incarnation, unpack_negotiate(body.negotiate))
    except RemoteProtocolError:
        return None  # another peer's mistake is not the service's: the connection stays


def _undelivered(message: pb.ServerMessage, read: ReadPresence) -> Undelivered:
    try:
        return Undelivered(WhyUndelivered(message.undelivered.reason))
    except ValueError:
        return Undelivered(WhyUndelivered.UNKNOWN)


_KINDS = frozenset(pb.PresenceEvent.Kind.values())
_REASONS = frozenset(pb.PresenceEvent.Reason.values())
_READERS: Mapping[str, Callable[[pb.ServerMessage, ReadPresence], Body | None]] = MappingProxyType(
    {
        "hello": _hello,
        "authenticated": lambda message, read: Authenticated(),
        "registered": _registered,
        "heartbeat_ack": lambda message, read: HeartbeatAck(
            read_ice_servers(message.heartbeat_ack.ice_servers)
        ),
        "snapshot": _snapshot,
        "presence": _event,
        "discovered": lambda message, read: Discovered(
            read_present(message.discovered.found, read), message.discovered.next
        ),
        "receipt": lambda message, read: Receipt(),
        "undelivered": _undelivered,
        "relayed": _relayed,
        "replaced": lambda message, read: Replaced(message.replaced.epoch),
        "goaway": lambda message, read: GoAway(
            message.goaway.reconnect_after_ms / 1000, message.goaway.reason
        ),
        "error": lambda message, read: Refusal(message.error.code, message.error.message),
        "done": lambda message, read: Done(),
    }
)
