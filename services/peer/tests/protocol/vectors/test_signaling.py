"""What is said to signaling and heard of it, as ``proto/vectors/signaling.json`` has it."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format

from actr import signaling_pb2 as pb
from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling import messages, requests
from actr_peer.protocol.signaling.presence import (
    Change,
    Load,
    Presence,
    PresenceEvent,
    Reason,
    Registration,
    Visibility,
)
from actr_peer.protocol.webrtc.messages import unpack_negotiate
from actr_peer.protocol.webrtc.negotiation import IceServer
from peer_kit.vectors import Vector, each


def request_of(wire: pb.ClientMessage) -> requests.Request:
    """The client's own value for what a vector says."""
    match wire.WhichOneof("body"):
        case "authenticate":
            proof = wire.authenticate
            who = ActrId.from_message(proof.id)
            return requests.Authenticate(who, proof.mac, proof.certificate, proof.signature)
        case "register":
            said = wire.register
            return requests.Register(
                Registration(
                    id=ActrId.from_message(said.id),
                    incarnation=said.incarnation,
                    ws_address=said.ws_address,
                    services=tuple((one.service, one.fingerprint) for one in said.services),
                    metadata=dict(said.metadata),
                    visibility=Visibility[pb.Visibility.Name(said.visibility)],
                    allowed_realms=tuple(said.allowed_realms),
                ),
                said.only_if_free,
                signed_of(said),
            )
        case "heartbeat":
            return requests.Heartbeat(load_of(wire.heartbeat.load))
        case "subscribe":
            return requests.Subscribe(wire.subscribe.actr_type)
        case "unsubscribe":
            return requests.Unsubscribe(wire.unsubscribe.actr_type)
        case "discover":
            asked = wire.discover
            return requests.Discover(
                actr_type=asked.actr_type,
                service=asked.service,
                fingerprint=asked.fingerprint,
                stickiness=asked.stickiness,
                limit=asked.limit,
                id=ActrId.from_message(asked.id) if asked.HasField("id") else None,
            )
        case "relay":
            to = ActrId.from_message(wire.relay.to)
            return requests.Relay(to, unpack_negotiate(wire.relay.negotiate))
        case _:
            return requests.Unregister()


def signed_of(wire: pb.Register) -> requests.Signed | None:
    if not wire.HasField("signed"):
        return None
    said = wire.signed
    return requests.Signed(said.register, said.certificate, said.signature, wire.signed_at_ms)


def load_of(wire: pb.Load) -> Load:
    return Load(wire.mailbox_backlog, wire.power_reserve)


def presence_of(wire: pb.Presence) -> Presence:
    return Presence(
        id=ActrId.from_message(wire.id),
        ws_address=wire.ws_address,
        services=tuple((one.service, one.fingerprint) for one in wire.services),
        incarnation=wire.incarnation,
        metadata=dict(wire.metadata),
        load=load_of(wire.load),
        epoch=wire.epoch,
    )


def servers_of(wire: pb.Registered | pb.HeartbeatAck) -> tuple[IceServer, ...]:
    return tuple(
        IceServer(urls=tuple(one.urls), username=one.username, credential=one.credential)
        for one in wire.ice_servers
    )


def listed(wire: pb.ServerMessage) -> messages.Body:
    """The client's own value for what lists actors, or names one."""
    match wire.WhichOneof("body"):
        case "snapshot":
            said = wire.snapshot
            present = tuple(map(presence_of, said.present))
            return messages.Snapshot(said.actr_type, said.version, present)
        case "presence":
            event = wire.presence
            return PresenceEvent(
                Change[pb.PresenceEvent.Kind.Name(event.kind)],
                presence_of(event.presence),
                event.version,
                Reason[pb.PresenceEvent.Reason.Name(event.reason)],
            )
        case "discovered":
            return messages.Discovered(tuple(map(presence_of, wire.discovered.found)))
        case _:
            said_by = ActrId.from_message(getattr(wire.relayed, "from"))
            step = unpack_negotiate(wire.relayed.negotiate)
            return messages.Relayed(said_by, wire.relayed.incarnation, step)


EMPTY = {
    "authenticated": messages.Authenticated(),
    "receipt": messages.Receipt(),
    "done": messages.Done(),
}


def body_of(wire: pb.ServerMessage) -> messages.Body:
    match wire.WhichOneof("body"):
        case "hello":
            greeting = wire.hello
            return messages.Hello(
                greeting.nonce,
                greeting.server_id,
                greeting.proof_required,
                greeting.max_message_bytes,
                greeting.certificate_required,
                greeting.time_ms / 1000,
            )
        case "registered":
            said = wire.registered
            heartbeat = said.heartbeat_interval_ms / 1000
            return messages.Registered(
                said.session_id, said.epoch, heartbeat, servers_of(said), said.took_over
            )
        case "heartbeat_ack":
            return messages.HeartbeatAck(servers_of(wire.heartbeat_ack))
        case "undelivered":
            return messages.Undelivered(messages.WhyUndelivered(wire.undelivered.reason))
        case "replaced":
            return messages.Replaced(wire.replaced.epoch)
        case "goaway":
            after = wire.goaway.reconnect_after_ms / 1000
            return messages.GoAway(after, wire.goaway.reason)
        case "error":
            return messages.Refusal(wire.error.code, wire.error.message)
        case body:
            return EMPTY.get(str(body)) or listed(wire)


@each("signaling", "requests")
def test_what_a_client_says_is_these_bytes(vector: Vector) -> None:
    wire = json_format.Parse(json.dumps(vector["json"]), pb.ClientMessage())
    expected = bytes.fromhex(vector["hex"])
    said = pb.ClientMessage.FromString(requests.encode(wire.id, request_of(wire)))
    if wire.WhichOneof("body") == "heartbeat" and not wire.heartbeat.HasField("load"):
        said.heartbeat.ClearField("load")  # a client always says it
    assert said == wire
    assert said.SerializeToString(deterministic=True) == expected


@each("signaling", "replies")
def test_what_the_service_says_is_read_to_this(vector: Vector) -> None:
    wire = json_format.Parse(json.dumps(vector["json"]), pb.ServerMessage())
    assert pb.ServerMessage.FromString(bytes.fromhex(vector["hex"])) == wire
    assert messages.decode(bytes.fromhex(vector["hex"])) == (wire.reply_to, body_of(wire))


@each("signaling", "refused_replies")
def test_what_no_service_says_is_refused(vector: Vector) -> None:
    with pytest.raises(RemoteProtocolError, match=vector["error"]):
        messages.decode(bytes.fromhex(vector["hex"]))


@each("signaling", "ignored_replies")
def test_what_a_client_cannot_use_is_passed_over(vector: Vector) -> None:
    assert messages.decode(bytes.fromhex(vector["hex"]))[1] is None
