"""What the server says, put together from bytes, is what protobuf would write."""

from __future__ import annotations

import pytest

from actr import signaling_pb2 as pb
from actr_signaling.protocol.client import replies
from actr_signaling.protocol.client.replies import IceServer
from actr_signaling.protocol.presence.records import Entry, Load, Registration
from actr_signaling.protocol.presence.view import Kind, Reason, Told
from actr_signaling.protocol.websocket import frames
from signaling_kit.client import actor

ICE = IceServer(urls=("turn:turn.example",), username="u", credential="c", ttl=600)
ICE_WIRE = pb.IceServer(urls=["turn:turn.example"], username="u", credential="c", ttl_s=600)


def entry(**fields: object) -> Entry:
    registration = Registration(id=actor("a"), **fields)  # type: ignore[arg-type]
    return Entry(registration=registration, load=Load(), epoch=3, session="s", replica="r")


LONG = entry(metadata={"note": "x" * 300})
"""Its length takes two bytes."""


def message(**body: object) -> pb.ServerMessage:
    return pb.ServerMessage(**body)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            replies.hello(
                nonce=b"n" * 32, server_id="s", proof_required=True, max_message_bytes=65_536
            ),
            message(
                hello=pb.ServerHello(
                    nonce=b"n" * 32, server_id="s", proof_required=True, max_message_bytes=65_536
                )
            ),
        ),
        (
            replies.registered(
                4, session="s", epoch=9, heartbeat=10.0, lease=30.5, ice_servers=[ICE]
            ),
            message(
                reply_to=4,
                registered=pb.Registered(
                    session_id="s",
                    epoch=9,
                    heartbeat_interval_ms=10_000,
                    lease_ms=30_500,
                    ice_servers=[ICE_WIRE],
                ),
            ),
        ),
        (
            replies.heartbeat_ack(5, [ICE]),
            message(reply_to=5, heartbeat_ack=pb.HeartbeatAck(ice_servers=[ICE_WIRE])),
        ),
        (
            replies.discovered(6, [entry(), LONG]),
            message(
                reply_to=6, discovered=pb.Discovered(found=[entry().to_wire(), LONG.to_wire()])
            ),
        ),
        (replies.discovered(6, []), message(reply_to=6, discovered=pb.Discovered())),
        (
            replies.snapshot(7, replies.snapshot_body("acme:a", 12, [LONG])),
            message(
                reply_to=7,
                snapshot=pb.PresenceSnapshot(
                    actr_type="acme:a", version=12, present=[LONG.to_wire()]
                ),
            ),
        ),
        (
            replies.goaway(1.5, "restart"),
            message(goaway=pb.GoAway(reconnect_after_ms=1500, reason="restart")),
        ),
        (
            replies.error(8, 4429, "too many"),
            message(reply_to=8, error=pb.SignalingError(code=4429, message="too many")),
        ),
        (replies.replaced(11), message(replaced=pb.Replaced(epoch=11))),
        (replies.receipt(1), message(reply_to=1, receipt=pb.Receipt())),
        (replies.receipt(0), message(receipt=pb.Receipt())),
        (replies.receipt(300), message(reply_to=300, receipt=pb.Receipt())),
        (replies.receipt(2**64 - 1), message(reply_to=2**64 - 1, receipt=pb.Receipt())),
        (replies.done(2), message(reply_to=2, done=pb.Done())),
        (replies.authenticated(3), message(reply_to=3, authenticated=pb.Authenticated())),
    ],
    ids=lambda value: value.WhichOneof("body") if isinstance(value, pb.ServerMessage) else "",
)
def test_a_reply_is_what_protobuf_would_write(data: bytes, expected: pb.ServerMessage) -> None:
    assert pb.ServerMessage.FromString(data) == expected


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("reason", [None, *Reason])
def test_an_event_has_its_kind_and_its_reason(kind: Kind, reason: Reason | None) -> None:
    event = pb.ServerMessage.FromString(replies.event(Told(kind, LONG, 5, frozenset(), reason)))
    assert event == message(
        presence=pb.PresenceEvent(
            kind=pb.PresenceEvent.Kind.Value(kind.name),
            version=5,
            presence=LONG.to_wire(),
            reason=pb.PresenceEvent.Reason.Value(reason.name if reason else "NONE"),
        )
    )


@pytest.mark.parametrize("number", [0, 1, 127, 128, 16_383, 16_384, 2**64 - 1])
def test_a_receipt_in_its_frame_is_the_same_receipt(number: int) -> None:
    assert replies.receipt_frame(number) == frames.binary(replies.receipt(number))


@pytest.mark.parametrize("length", [0, 127, 128, 5_000, 16_383 - 40, 16_383, 16_384, 60_000])
@pytest.mark.parametrize("incarnation", [0, 2**64 - 1])
def test_the_start_of_a_relayed_message_says_how_long_it_is(length: int, incarnation: int) -> None:
    step = pb.Negotiate(signature=bytes(length)).SerializeToString()
    head = replies.relayed_head(actor("a"), incarnation)
    read = pb.ServerMessage.FromString(replies.relayed_start(head, len(step)) + step).relayed
    assert getattr(read, "from") == actor("a").to_wire()
    assert read.incarnation == incarnation
    assert read.negotiate.SerializeToString() == step
