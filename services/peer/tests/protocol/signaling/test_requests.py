"""What a client says, in bytes; all of it in ``proto/vectors/signaling.json`` too."""

from __future__ import annotations

import pytest

from actr import signaling_pb2 as pb
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling import requests
from actr_peer.protocol.signaling.presence import Load, Registration, Visibility
from actr_peer.protocol.webrtc.negotiation import Bye, NegotiateMessage

ALICE = ActrId("acme", "chat", "alice")
BOB = ActrId("acme", "chat", "bob")

REGISTRATION = Registration(
    id=ALICE,
    incarnation=2**64 - 1,
    ws_address="ws://10.0.0.1:9100/v1/wire",
    services=(("demo.Chat", "ab12"),),
    metadata={"colour": "blue"},
    visibility=Visibility.HIDDEN,
    allowed_realms=("guests",),
)
REQUESTS: list[tuple[requests.Request, str]] = [
    (requests.Authenticate(ALICE, b"mac"), "authenticate"),
    (requests.Register(REGISTRATION), "register"),
    (requests.Heartbeat(Load(2**40, 0.5)), "heartbeat"),
    (requests.Subscribe(""), "subscribe"),
    (requests.Unsubscribe(""), "unsubscribe"),
    (requests.Discover(service="demo.Chat", limit=3), "discover"),
    (requests.Relay(BOB, NegotiateMessage("c", 1, Bye("enough"))), "relay"),
    (requests.Unregister(), "unregister"),
]


@pytest.mark.parametrize(("request_", "body"), REQUESTS, ids=[body for _, body in REQUESTS])
def test_a_request_has_its_number_and_its_body(request_: requests.Request, body: str) -> None:
    message = pb.ClientMessage.FromString(requests.encode(7, request_))
    assert message.id == 7
    assert message.WhichOneof("body") == body


def test_a_registration_says_all_of_itself() -> None:
    data = requests.encode(1, requests.Register(REGISTRATION))
    register = pb.ClientMessage.FromString(data).register
    assert register.ws_address == REGISTRATION.ws_address
    assert register.incarnation == REGISTRATION.incarnation
    assert [(item.service, item.fingerprint) for item in register.services] == [
        ("demo.Chat", "ab12")
    ]
    assert dict(register.metadata) == {"colour": "blue"}
    assert register.visibility == pb.HIDDEN
    assert list(register.allowed_realms) == ["guests"]
