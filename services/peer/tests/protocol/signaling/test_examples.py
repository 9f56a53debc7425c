"""The session on docs/signaling.md, spoken by the client's machine: the same bytes both ways."""

from __future__ import annotations

import re

from actr import signaling_pb2 as pb
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling import requests
from actr_peer.protocol.signaling.presence import Load, Registration
from actr_peer.protocol.signaling.proofs import Proofs
from actr_peer.protocol.signaling.session import (
    Answered,
    ClientSession,
    Enrolled,
    Send,
    State,
    Told,
)
from actr_peer.protocol.webrtc.negotiation import Bye, NegotiateMessage, Offer
from peer_kit import ROOT

PAGE = ROOT / "docs" / "signaling.md"
ROW = re.compile(r"^\| (server|client) \| `(\w+)` \| `([0-9a-f]+)` \|$", re.MULTILINE)
ALICE = ActrId("acme", "a", "1")
BOB = ActrId("acme", "b", "1")


def test_the_session_on_the_page_is_the_client_s() -> None:
    script = [(side, bytes.fromhex(data)) for side, _, data in ROW.findall(PAGE.read_text())]
    assert [side for side, _ in script].count("client") == 9
    registration = Registration(id=ALICE, incarnation=7, ws_address="ws://10.0.0.1:9100/v1/wire")
    session = ClientSession(registration, Proofs(b"0123456789abcdef"))
    asks = iter(
        [
            requests.Subscribe("acme:b"),
            requests.Relay(BOB, NegotiateMessage("c1", 1, Offer("v=0"))),
            requests.Discover(service="demo.Chat"),
            requests.Relay(BOB, NegotiateMessage("c1", 1, Bye(""))),
            requests.Unsubscribe("acme:b"),
            requests.Heartbeat(Load(0, 0.0)),
            requests.Unregister(),
        ]
    )
    due: list[bytes] = []
    heard: list[type] = []
    for side, data in script:
        if side == "client":
            said = due.pop(0) if due else session.ask(next(asks))[1]
            assert messages_of(said) == messages_of(data)
        else:
            effects = session.receive(data)
            due += [effect.data for effect in effects if isinstance(effect, Send)]
            heard += [type(effect) for effect in effects if not isinstance(effect, Send)]
    assert session.state is State.REGISTERED
    assert heard == [Enrolled, Told, Answered, Told, Told, *[Answered] * 6]


def messages_of(data: bytes) -> str:
    """Comparable text; the page's heartbeat carries no load."""
    message = pb.ClientMessage.FromString(data)
    if message.WhichOneof("body") == "heartbeat":
        message.heartbeat.ClearField("load")
    return str(message)
