from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr import signaling_pb2 as pb
from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling import messages
from actr_peer.protocol.signaling.presence import (
    Change,
    Load,
    Presence,
    PresenceEvent,
    Reason,
)
from actr_peer.protocol.webrtc.messages import pack_negotiate, unpack_negotiate
from actr_peer.protocol.webrtc.negotiation import (
    Answer,
    Bye,
    Candidate,
    IceServer,
    NegotiateMessage,
    Offer,
    RequestCause,
    RequestOffer,
)

ALICE = ActrId("acme", "chat", "alice")
BOB = ActrId("acme", "chat", "bob")

TEXT = st.text(max_size=40)
MAPS = st.dictionaries(TEXT, TEXT, max_size=3)
BODIES = st.one_of(
    st.builds(Offer, TEXT, MAPS),
    st.builds(Answer, TEXT, MAPS),
    st.builds(Candidate, TEXT, TEXT, st.integers(0, 2**32 - 1)),
    st.builds(RequestOffer, st.sampled_from(RequestCause), MAPS),
    st.builds(Bye, TEXT),
)
NEGOTIATIONS = st.builds(NegotiateMessage, TEXT, st.integers(0, 2**32 - 1), BODIES)


@given(NEGOTIATIONS)
def test_a_negotiation_step_comes_back_as_it_was(message: NegotiateMessage) -> None:
    assert unpack_negotiate(pack_negotiate(message)) == message


def test_a_step_without_a_body_is_a_violation() -> None:
    with pytest.raises(RemoteProtocolError):
        unpack_negotiate(pb.Negotiate(connection_id="x"))


PRESENCE = pb.Presence(
    id=BOB.to_message(),
    ws_address="ws://b:1/",
    services=[pb.ServiceFingerprint(service="demo.Chat", fingerprint="ab")],
    incarnation=9,
    metadata={"k": "v"},
    load=pb.Load(mailbox_backlog=3, power_reserve=0.25),
    epoch=4,
)
BOB_PRESENCE = Presence(
    id=BOB,
    ws_address="ws://b:1/",
    services=(("demo.Chat", "ab"),),
    incarnation=9,
    metadata={"k": "v"},
    load=Load(3, 0.25),
    epoch=4,
)
ICE = pb.IceServer(urls=["turn:t:3478"], username="u", credential="c", ttl_s=60)
ICE_SERVER = IceServer(urls=("turn:t:3478",), username="u", credential="c")
REPLIES: list[tuple[pb.ServerMessage, messages.Body]] = [
    (
        pb.ServerMessage(
            hello=pb.ServerHello(
                nonce=b"n" * 32, server_id="s", proof_required=True, max_message_bytes=9
            )
        ),
        messages.Hello(b"n" * 32, "s", True, 9),
    ),
    (pb.ServerMessage(authenticated=pb.Authenticated()), messages.Authenticated()),
    (
        pb.ServerMessage(
            registered=pb.Registered(
                session_id="x", epoch=3, heartbeat_interval_ms=10_000, ice_servers=[ICE]
            )
        ),
        messages.Registered("x", 3, 10.0, (ICE_SERVER,)),
    ),
    (
        pb.ServerMessage(heartbeat_ack=pb.HeartbeatAck(ice_servers=[ICE])),
        messages.HeartbeatAck((ICE_SERVER,)),
    ),
    (
        pb.ServerMessage(
            snapshot=pb.PresenceSnapshot(actr_type="acme:chat", version=8, present=[PRESENCE])
        ),
        messages.Snapshot("acme:chat", 8, (BOB_PRESENCE,)),
    ),
    (
        pb.ServerMessage(
            presence=pb.PresenceEvent(
                kind=pb.PresenceEvent.LEAVE,
                version=9,
                presence=PRESENCE,
                reason=pb.PresenceEvent.DRAINED,
            )
        ),
        PresenceEvent(Change.LEAVE, BOB_PRESENCE, 9, Reason.DRAINED),
    ),
    (
        pb.ServerMessage(discovered=pb.Discovered(found=[PRESENCE])),
        messages.Discovered((BOB_PRESENCE,)),
    ),
    (pb.ServerMessage(receipt=pb.Receipt()), messages.Receipt()),
    (
        pb.ServerMessage(undelivered=pb.Undelivered(reason=pb.Undelivered.OFFLINE)),
        messages.Undelivered(messages.WhyUndelivered.OFFLINE),
    ),
    (
        pb.ServerMessage(
            relayed=pb.Relayed(
                **{"from": BOB.to_message()},
                incarnation=9,
                negotiate=pb.Negotiate(connection_id="c", exchange=2, bye=pb.Bye(reason="r")),
            )
        ),
        messages.Relayed(BOB, 9, NegotiateMessage("c", 2, Bye("r"))),
    ),
    (pb.ServerMessage(replaced=pb.Replaced(epoch=5)), messages.Replaced(5)),
    (
        pb.ServerMessage(goaway=pb.GoAway(reconnect_after_ms=1500, reason="update")),
        messages.GoAway(1.5, "update"),
    ),
    (
        pb.ServerMessage(error=pb.SignalingError(code=4400, message="no")),
        messages.Refusal(4400, "no"),
    ),
    (pb.ServerMessage(done=pb.Done()), messages.Done()),
]


@pytest.mark.parametrize(
    ("message", "body"), REPLIES, ids=[type(body).__name__ for _, body in REPLIES]
)
def test_what_the_service_says_is_read(message: pb.ServerMessage, body: messages.Body) -> None:
    message.reply_to = 3
    assert messages.decode(message.SerializeToString()) == (3, body)


def test_every_kind_of_server_message_is_read() -> None:
    kinds = {field.name for field in pb.ServerMessage.DESCRIPTOR.oneofs_by_name["body"].fields}
    assert kinds == {message.WhichOneof("body") for message, _ in REPLIES}


def test_a_kind_of_a_later_version_is_unknown_and_not_wrong() -> None:
    later = bytes([(99 << 3 | 2) & 0x7F | 0x80, 99 << 3 >> 7, 0])
    assert messages.decode(later) == (0, None)


def test_a_relay_that_its_sender_got_wrong_is_nobody_else_s_fault() -> None:
    wrong = pb.Relayed(**{"from": BOB.to_message()}, negotiate=pb.Negotiate())
    assert messages.decode(pb.ServerMessage(relayed=wrong).SerializeToString()) == (0, None)


def test_an_unknown_reason_is_read_as_unknown() -> None:
    message = pb.ServerMessage(undelivered=pb.Undelivered(reason=77))  # type: ignore[arg-type]
    _, body = messages.decode(message.SerializeToString())
    assert body == messages.Undelivered(messages.WhyUndelivered.UNKNOWN)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_typed_error(data: bytes) -> None:
    with suppress(RemoteProtocolError):
        messages.decode(data)


def test_noise_is_a_violation() -> None:
    with pytest.raises(RemoteProtocolError):
        messages.decode(b"\xff\xff\xff\xff")


USABLE = pb.Presence(id=BOB.to_message(), ws_address="ws://b:1/v1/wire")


@pytest.mark.parametrize(
    "wrong",
    [
        pb.Presence(),
        pb.Presence(id=BOB.to_message(), ws_address="ws://" + "b" * 300),
        pb.Presence(id=BOB.to_message(), metadata={str(n): "" for n in range(17)}),
        pb.Presence(id=BOB.to_message(), metadata={"k": "v" * 300}),
        pb.Presence(id=BOB.to_message(), services=[pb.ServiceFingerprint()] * 65),
    ],
    ids=["no id", "a long address", "many entries", "a long entry", "many services"],
)
def test_an_actor_that_cannot_be_used_is_left_out_and_the_others_are_taken(
    wrong: pb.Presence,
) -> None:
    snapshot = pb.PresenceSnapshot(present=[wrong, USABLE])
    _, body = messages.decode(pb.ServerMessage(snapshot=snapshot).SerializeToString())
    assert isinstance(body, messages.Snapshot)
    assert [presence.id for presence in body.present] == [BOB]
    event = pb.PresenceEvent(presence=wrong)
    assert messages.decode(pb.ServerMessage(presence=event).SerializeToString()) == (0, None)


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("stun:stun.example:3478", True),
        ("turns:[2001:db8::1]:5349?transport=tcp", True),
        ("turn:t?transport=udp", True),
        ("stun:a..b:3478", False),
        ("stun:" + "a" * 64, False),
        ("http://a/", False),
        ("stun:", False),
        ("stun:a b", False),
        ("stun:a:999999", False),
        ("turn:höst", False),
    ],
)
def test_an_ice_server_that_no_resolver_takes_is_left_out(url: str, is_taken: bool) -> None:
    ack = pb.HeartbeatAck(ice_servers=[pb.IceServer(urls=[url]), pb.IceServer(urls=["stun:s"])])
    _, body = messages.decode(pb.ServerMessage(heartbeat_ack=ack).SerializeToString())
    assert isinstance(body, messages.HeartbeatAck)
    assert [server.urls for server in body.ice_servers] == [(url,)] * is_taken + [("stun:s",)]


def test_a_relay_longer_than_a_peer_can_send_is_nobody_else_s_fault() -> None:
    offer = pb.SessionDescription(sdp="x" * 70_000)
    relayed = pb.Relayed(**{"from": BOB.to_message()}, negotiate=pb.Negotiate(offer=offer))
    assert messages.decode(pb.ServerMessage(relayed=relayed).SerializeToString()) == (0, None)
