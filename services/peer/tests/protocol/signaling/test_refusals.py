"""What a service asks for, what an actor has, and what it requires of others: every pair."""

from __future__ import annotations

from itertools import product

import pytest

from actr_peer.errors import NoRelayError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling import requests
from actr_peer.protocol.signaling.messages import Hello, Refusal
from actr_peer.protocol.signaling.proofs import Proofs
from actr_peer.protocol.signaling.refusals import lacking, refused_ask
from actr_peer.protocol.webrtc.negotiation import Bye, Join, NegotiateMessage
from actr_peer.protocol.websocket.proofs import Requirement, required
from actr_peer.protocol.wire.close_codes import CloseCode
from peer_kit.vectors.identities import Issuer

ISSUER = Issuer(now=1_800_000_000)
ALICE = ActrId("acme", "chat", "alice")
SECRET = b"a secret of the realm"
NO_SECRET = "asks for proof of the realm secret"
NO_CERTIFICATE = "asks for a certificate"
OPEN = "development mode, where anybody may be any actor"

ASKS = {
    "nothing": (False, False),
    "secret": (True, False),
    "certificate": (False, True),
    "both": (True, True),
}
"""Service: whether it requires the secret, and a certificate."""

HAS: dict[str, tuple[bytes | None, bool | None]] = {
    "nothing": (None, None),
    "secret": (SECRET, None),
    "certificate": (None, True),
    "certificate and secret": (SECRET, True),
    "certificate, secret required": (SECRET, False),
}
"""Actor: its secret, and whether it requires certificates of others; None: it has none itself."""

TABLE = {
    ("nothing", "nothing"): "",
    ("nothing", "secret"): NO_SECRET,
    ("nothing", "certificate"): NO_CERTIFICATE,
    ("nothing", "both"): NO_CERTIFICATE,
    ("secret", "nothing"): OPEN,
    ("secret", "secret"): "",
    ("secret", "certificate"): NO_CERTIFICATE,
    ("secret", "both"): NO_CERTIFICATE,
    # What it believes of others they have signed, whatever the service asks of them.
    ("certificate", "nothing"): "",
    ("certificate", "secret"): "",
    ("certificate", "certificate"): "",
    ("certificate", "both"): "",
    ("certificate and secret", "nothing"): "",
    ("certificate and secret", "secret"): "",
    ("certificate and secret", "certificate"): "",
    ("certificate and secret", "both"): "",
    ("certificate, secret required", "nothing"): OPEN,
    ("certificate, secret required", "secret"): "",
    ("certificate, secret required", "certificate"): "",
    ("certificate, secret required", "both"): "",
}


def test_the_table_has_every_pair() -> None:
    assert set(TABLE) == set(product(HAS, ASKS))


@pytest.mark.parametrize(("has", "asks"), list(TABLE))
def test_an_actor_joins_where_it_can_prove_itself_and_others_have_to(has: str, asks: str) -> None:
    secret, requires = HAS[has]
    certified = None if requires is None else ISSUER.certified(ALICE, is_required=requires)
    proofs = Proofs.of(secret, certified)
    assert proofs.is_secret_required is (required(secret, certified) is Requirement.SECRET)
    proof, certificate = ASKS[asks]
    told = lacking(Hello(b"n" * 32, "s", proof, 0, certificate), proofs)
    assert (told is None) == (TABLE[has, asks] == "")
    assert TABLE[has, asks] in str(told or "")


WIRE = requests.Relay(ALICE, NegotiateMessage("0" * 32, 0, Join()))
BYE = requests.Relay(ALICE, NegotiateMessage("0" * 32, 0, Bye("")))


@pytest.mark.parametrize(
    ("request_", "code", "kind"),
    [
        (WIRE, CloseCode.FORBIDDEN, NoRelayError),
        (WIRE, CloseCode.BAD_MESSAGE, NoRelayError),  # of a service that knows no such wires
        (WIRE, CloseCode.TOO_FAST, UnreachableError),
        (BYE, CloseCode.FORBIDDEN, UnreachableError),
        (requests.Subscribe(""), CloseCode.FORBIDDEN, UnreachableError),
    ],
)
def test_a_relayed_wire_that_is_refused_would_be_again_unless_there_are_too_many(
    request_: requests.Request, code: int, kind: type[UnreachableError]
) -> None:
    error = refused_ask("acme:chat@alice", request_, Refusal(code, "in words"))
    assert type(error) is kind
    assert error.why == f"signaling refuses the message: {code} in words"
