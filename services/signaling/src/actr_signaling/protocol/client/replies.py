"""Sans-I/O: what the server says, as bytes ready for a binary frame.

Relays and snapshots are put together from parts that are bytes already, without building a
message: the sender's head and the step as it came; every entry, which is written once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from actr import signaling_pb2 as pb
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.presence.records import Entry, varint
from actr_signaling.protocol.presence.view import Kind, Reason, Told
from actr_signaling.protocol.relay.routing import Undelivered
from actr_signaling.protocol.websocket import frames

MAX_LISTING_BYTES = 8 * 1024 * 1024
"""Of a snapshot, or of what a discovery has found, in either form: a client takes no more."""

_REPLY_TO_TAG = bytes([1 << 3])  # ServerMessage.reply_to
_RECEIPT = bytes([9 << 3 | 2, 0])  # ServerMessage.receipt, which has no fields
_RECEIPT_FRAME_OF_4 = b"\x82\x04" + _REPLY_TO_TAG  # the head of a frame of so many bytes
_RECEIPT_FRAME_OF_5 = b"\x82\x05" + _REPLY_TO_TAG
_RELAYED = 11 << 3 | 2  # ServerMessage.relayed
_SNAPSHOT_TAG = bytes([6 << 3 | 2])  # ServerMessage.snapshot
_DISCOVERED_TAG = bytes([8 << 3 | 2])  # ServerMessage.discovered
_PRESENCE_TAG = bytes([7 << 3 | 2])  # ServerMessage.presence
_SUBJECT_TAG = bytes([3 << 3 | 2])  # PresenceEvent.presence
_FOUND_TAG = bytes([1 << 3 | 2])  # Discovered.found
_PRESENT_TAG = bytes([3 << 3 | 2])  # PresenceSnapshot.present
_NEGOTIATE = 2 << 3 | 2  # Relayed.negotiate


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """One STUN or TURN server as told to peers."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""
    ttl: int = 0
    """Seconds; 0: no limit."""

    def to_wire(self) -> pb.IceServer:
        return pb.IceServer(
            urls=self.urls, username=self.username, credential=self.credential, ttl_s=self.ttl
        )


def hello(
    *,
    nonce: bytes,
    server_id: str,
    proof_required: bool,
    max_message_bytes: int,
    certificate_required: bool = False,
    unix: float = 0.0,
) -> bytes:
    """``unix`` is Unix time in seconds here and in milliseconds on the wire."""
    body = pb.ServerHello(
        nonce=nonce,
        server_id=server_id,
        proof_required=proof_required,
        max_message_bytes=max_message_bytes,
        time_ms=round(unix * 1000),
        certificate_required=certificate_required,
    )
    return pb.ServerMessage(hello=body).SerializeToString()


def authenticated(reply_to: int) -> bytes:
    return pb.ServerMessage(reply_to=reply_to, authenticated=pb.Authenticated()).SerializeToString()


def registered(
    reply_to: int,
    *,
    session: str,
    epoch: int,
    heartbeat: float,
    lease: float,
    ice_servers: Iterable[IceServer],
    took_over: bool = False,
) -> bytes:
    """Durations are in seconds here and in milliseconds on the wire."""
    body = pb.Registered(
        session_id=session,
        epoch=epoch,
        heartbeat_interval_ms=round(heartbeat * 1000),
        lease_ms=round(lease * 1000),
        ice_servers=[server.to_wire() for server in ice_servers],
        took_over=took_over,
    )
    return pb.ServerMessage(reply_to=reply_to, registered=body).SerializeToString()


def heartbeat_ack(reply_to: int, ice_servers: Iterable[IceServer]) -> bytes:
    body = pb.HeartbeatAck(ice_servers=[server.to_wire() for server in ice_servers])
    return pb.ServerMessage(reply_to=reply_to, heartbeat_ack=body).SerializeToString()


def snapshot_body(actr_type: str, version: int, present: Iterable[Entry]) -> bytes:
    """The part of a snapshot that is the same for everybody who asks."""
    head = pb.PresenceSnapshot(actr_type=actr_type, version=version).SerializeToString()
    # Every part after the head follows a tag.
    return _PRESENT_TAG.join([head, *(entry.listed for entry in present)])


def snapshot(reply_to: int, body: bytes) -> bytes:
    head = pb.ServerMessage(reply_to=reply_to).SerializeToString()
    return b"".join((head, _SNAPSHOT_TAG, varint(len(body)), body))


_KINDS = {
    Kind.JOIN: pb.PresenceEvent.JOIN,
    Kind.UPDATE: pb.PresenceEvent.UPDATE,
    Kind.LEAVE: pb.PresenceEvent.LEAVE,
}
_REASONS = {
    Reason.CLOSED: pb.PresenceEvent.CLOSED,
    Reason.EXPIRED: pb.PresenceEvent.EXPIRED,
    Reason.REPLACED: pb.PresenceEvent.REPLACED,
    Reason.DRAINED: pb.PresenceEvent.DRAINED,
    Reason.KICKED: pb.PresenceEvent.KICKED,
}


def event(told: Told) -> bytes:
    body = pb.PresenceEvent(
        kind=_KINDS[told.kind],
        version=told.version,
        reason=pb.PresenceEvent.NONE if told.reason is None else _REASONS[told.reason],
    )
    inner = b"".join((body.SerializeToString(), _SUBJECT_TAG, told.entry.listed))
    return b"".join((_PRESENCE_TAG, varint(len(inner)), inner))


def discovered(reply_to: int, found: Sequence[Entry], next: str = "") -> bytes:
    body = _FOUND_TAG.join([b"", *(entry.listed for entry in found)])
    body += pb.Discovered(next=next).SerializeToString()
    head = pb.ServerMessage(reply_to=reply_to).SerializeToString()
    return b"".join((head, _DISCOVERED_TAG, varint(len(body)), body))


def receipt(reply_to: int) -> bytes:
    if not reply_to:  # which protobuf leaves out
        return _RECEIPT
    return b"".join((_REPLY_TO_TAG, varint(reply_to), _RECEIPT))


def receipt_frame(reply_to: int) -> bytes:
    """A receipt in the frame of a binary message: there is one for each relay."""
    if 0 < reply_to < 1 << 7:
        return _RECEIPT_FRAME_OF_4 + bytes((reply_to,)) + _RECEIPT
    if 1 << 7 <= reply_to < 1 << 14:
        return _RECEIPT_FRAME_OF_5 + bytes((reply_to & 0x7F | 0x80, reply_to >> 7)) + _RECEIPT
    return frames.binary(receipt(reply_to))


_UNDELIVERED = {
    Undelivered.UNKNOWN: pb.Undelivered.UNKNOWN,
    Undelivered.OFFLINE: pb.Undelivered.OFFLINE,
    Undelivered.NOT_ALLOWED: pb.Undelivered.NOT_ALLOWED,
    Undelivered.EXPIRED: pb.Undelivered.EXPIRED,
    Undelivered.OVERLOADED: pb.Undelivered.OVERLOADED,
}


def undelivered(reply_to: int, reason: Undelivered, to: ActrId | None) -> bytes:
    body = pb.Undelivered(reason=_UNDELIVERED[reason], to=None if to is None else to.to_wire())
    return pb.ServerMessage(reply_to=reply_to, undelivered=body).SerializeToString()


def relayed_head(source: ActrId, incarnation: int) -> bytes:
    """The part of a Relayed that is the same for every message of one sender."""
    wire = pb.Relayed(incarnation=incarnation)
    getattr(wire, "from").CopyFrom(source.to_wire())
    return wire.SerializeToString()


def relayed(head: bytes, negotiate: bytes) -> bytes:
    """A Relayed from its sender's head; protobuf allows the fields in any order."""
    return relayed_start(head, len(negotiate)) + negotiate


def relayed_start(head: bytes, length: int) -> bytes:
    """The same before its ``negotiate``, which has so many bytes."""
    inner = len(head) + 3 + length
    if length >= 1 << 7 and inner < 1 << 14:  # as nearly all: both lengths have two bytes
        outer = bytes((_RELAYED, inner & 0x7F | 0x80, inner >> 7))
        return b"".join((outer, head, bytes((_NEGOTIATE, length & 0x7F | 0x80, length >> 7))))
    size = varint(length)
    inner = len(head) + 1 + len(size) + length
    return b"".join((bytes((_RELAYED,)), varint(inner), head, bytes((_NEGOTIATE,)), size))


def replaced(epoch: int) -> bytes:
    return pb.ServerMessage(replaced=pb.Replaced(epoch=epoch)).SerializeToString()


def goaway(reconnect_after: float, reason: str) -> bytes:
    """``reconnect_after`` in seconds."""
    body = pb.GoAway(reconnect_after_ms=round(reconnect_after * 1000), reason=reason)
    return pb.ServerMessage(goaway=body).SerializeToString()


def error(reply_to: int, code: int, message: str) -> bytes:
    body = pb.SignalingError(code=code, message=message)
    return pb.ServerMessage(reply_to=reply_to, error=body).SerializeToString()


def done(reply_to: int) -> bytes:
    return pb.ServerMessage(reply_to=reply_to, done=pb.Done()).SerializeToString()
