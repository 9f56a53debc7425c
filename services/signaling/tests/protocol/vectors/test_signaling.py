"""What clients say and what is said to them, as ``proto/vectors/signaling.json`` has it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format

from actr import signaling_pb2 as pb
from actr_signaling.errors import BadMessageError, RefusedError
from actr_signaling.protocol import json_form
from actr_signaling.protocol.client import messages, replies
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.presence.records import Entry, Load, Registration
from actr_signaling.protocol.presence.view import Kind, Reason, Told
from actr_signaling.protocol.relay.routing import Undelivered
from signaling_kit.vectors import Vector, each


def entry(wire: pb.Presence) -> Entry:
    said = pb.Register(
        ws_address=wire.ws_address,
        services=wire.services,
        incarnation=wire.incarnation,
        metadata=wire.metadata,
        signed=wire.signed if wire.HasField("signed") else None,
    )
    registration = Registration.from_wire(ActrId.check(wire.id), said)
    load = Load.from_wire(wire.load)
    return Entry(registration=registration, load=load, epoch=wire.epoch, session="", replica="")


def servers(wire: pb.Registered | pb.HeartbeatAck) -> list[replies.IceServer]:
    return [
        replies.IceServer(
            urls=tuple(one.urls), username=one.username, credential=one.credential, ttl=one.ttl_s
        )
        for one in wire.ice_servers
    ]


def hello(wire: pb.ServerMessage) -> bytes:
    said = wire.hello
    return replies.hello(
        nonce=said.nonce,
        server_id=said.server_id,
        proof_required=said.proof_required,
        max_message_bytes=said.max_message_bytes,
        certificate_required=said.certificate_required,
        unix=said.time_ms / 1000,
    )


def registered(wire: pb.ServerMessage) -> bytes:
    said = wire.registered
    return replies.registered(
        wire.reply_to,
        session=said.session_id,
        epoch=said.epoch,
        heartbeat=said.heartbeat_interval_ms / 1000,
        lease=said.lease_ms / 1000,
        ice_servers=servers(said),
        took_over=said.took_over,
    )


def snapshot(wire: pb.ServerMessage) -> bytes:
    said = wire.snapshot
    body = replies.snapshot_body(said.actr_type, said.version, map(entry, said.present))
    return replies.snapshot(wire.reply_to, body)


def event(wire: pb.ServerMessage) -> bytes:
    said = wire.presence
    kind = Kind[pb.PresenceEvent.Kind.Name(said.kind)]
    name = pb.PresenceEvent.Reason.Name(said.reason)
    reason = None if name == "NONE" else Reason[name]
    return replies.event(Told(kind, entry(said.presence), said.version, frozenset(), reason))


def undelivered(wire: pb.ServerMessage) -> bytes:
    said = wire.undelivered
    to = ActrId.check(said.to) if said.HasField("to") else None
    why = Undelivered[pb.Undelivered.Reason.Name(said.reason)]
    return replies.undelivered(wire.reply_to, why, to)


def relayed(wire: pb.ServerMessage) -> bytes:
    said = wire.relayed
    head = replies.relayed_head(ActrId.check(getattr(said, "from")), said.incarnation)
    return replies.relayed(head, said.negotiate.SerializeToString())


MADE: dict[str, Any] = {
    "hello": hello,
    "authenticated": lambda wire: replies.authenticated(wire.reply_to),
    "registered": registered,
    "heartbeat_ack": lambda wire: replies.heartbeat_ack(wire.reply_to, servers(wire.heartbeat_ack)),
    "snapshot": snapshot,
    "presence": event,
    "discovered": lambda wire: replies.discovered(
        wire.reply_to, [entry(one) for one in wire.discovered.found]
    ),
    "receipt": lambda wire: replies.receipt(wire.reply_to),
    "undelivered": undelivered,
    "relayed": relayed,
    "replaced": lambda wire: replies.replaced(wire.replaced.epoch),
    "goaway": lambda wire: replies.goaway(
        wire.goaway.reconnect_after_ms / 1000, wire.goaway.reason
    ),
    "error": lambda wire: replies.error(wire.reply_to, wire.error.code, wire.error.message),
    "done": lambda wire: replies.done(wire.reply_to),
}
"""How the service makes each of its messages."""


@each("signaling", "requests")
def test_both_forms_of_what_a_client_says_are_one_message(vector: Vector) -> None:
    binary = messages.parse(bytes.fromhex(vector["hex"]))
    assert messages.parse_json(json.dumps(vector["json"])) == binary
    assert type(messages.read(binary)).__name__.lower() == binary.WhichOneof("body")


@each("signaling", "replies")
def test_what_the_service_says_is_this_in_both_forms(vector: Vector) -> None:
    wire = json_format.Parse(json.dumps(vector["json"]), pb.ServerMessage())
    made = MADE[str(wire.WhichOneof("body"))](wire)
    said = pb.ServerMessage.FromString(made)
    assert said == wire
    assert said.SerializeToString(deterministic=True).hex() == vector["hex"]
    assert json.loads(json_form.to_json(made)) == vector["json"]


@each("signaling", "replies")
def test_a_list_put_together_from_texts_says_the_same(vector: Vector) -> None:
    wire = json_format.Parse(json.dumps(vector["json"]), pb.ServerMessage())
    text = None
    if wire.HasField("snapshot"):
        said = wire.snapshot
        shown = [entry(one).shown for one in said.present]
        body = json_form.snapshot_body(said.actr_type, said.version, shown)
        text = json_form.snapshot(wire.reply_to, body)
    if wire.HasField("discovered"):
        text = json_form.discovered(wire.reply_to, [entry(p).shown for p in wire.discovered.found])
    assert text is None or json.loads(text) == vector["json"]


@each("signaling", "refused_requests")
def test_what_a_client_may_not_say_has_its_code(vector: Vector) -> None:
    with pytest.raises(BadMessageError if vector["closes"] else RefusedError) as caught:
        messages.read(messages.parse(bytes.fromhex(vector["hex"])))
    assert caught.value.code == vector["code"]


def test_every_kind_of_message_that_there_is_has_a_vector() -> None:
    bodies = {field.name for field in pb.ServerMessage.DESCRIPTOR.oneofs_by_name["body"].fields}
    assert set(MADE) == bodies
