"""A description is taken from who signed it, for whom it is, and once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from actr import signaling_pb2 as pb
from actr_peer.errors import CertificateError, CertificateFault, RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.descriptions import (
    MAX_REMEMBERED,
    DescriptionError,
    Fault,
    Statements,
    digest,
)
from actr_peer.protocol.identity.identity import OwnIdentity
from actr_peer.protocol.identity.signatures import DESCRIPTION, signed_text
from actr_peer.protocol.webrtc.messages import pack_negotiate, unpack_negotiate
from actr_peer.protocol.webrtc.negotiation import (
    Answer,
    Bye,
    Candidate,
    NegotiateMessage,
    Offer,
    Proof,
    RequestCause,
    RequestOffer,
)

NOW = 1_800_000_000.0
ALICE, BOB, EVE = (ActrId("acme", "chat", name) for name in ("alice", "bob", "eve"))
KEYS = {
    who: Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)
    for n, who in enumerate((ALICE, BOB, EVE))
}
LIVES = {ALICE: 7, BOB: 8, EVE: 9}
SDP = "v=0\r\na=fingerprint:sha-256 AA:BB\r\n"
OFFER = NegotiateMessage("c1", 1, Offer(SDP, MappingProxyType({"0": "camera"})))
ANSWER = NegotiateMessage("c1", 1, Answer(SDP))


def believe(data: bytes) -> Certificate:
    """Certificates here are ids; that of nobody is none."""
    if data == b"expired":
        raise CertificateError(CertificateFault.EXPIRED, "a certificate that ended")
    who = ActrId.parse(data.decode())
    key = KEYS[who].public_key().public_bytes_raw()
    subject = f"{who.actr_type}@{who.instance}"
    return Certificate("tests", subject, who.realm, key, {}, 0, 0, 2**40, "c", who.text)


def side(who: ActrId, *, is_required: bool = True) -> Statements:
    identity = OwnIdentity(KEYS[who], lambda: who.text)
    return Statements(who, LIVES[who], identity=identity, believe=believe, is_required=is_required)


def fault(
    at: Statements,
    message: NegotiateMessage,
    *,
    now: float = NOW,
    is_live: bool = False,
    source: ActrId = ALICE,
) -> Fault | None:
    try:
        at.check(source, message, now=now, is_live=is_live)
    except DescriptionError as exc:
        return exc.fault
    return None


def offered(
    by: ActrId = ALICE, to: ActrId = BOB, message: NegotiateMessage = OFFER
) -> NegotiateMessage:
    return side(by).sign(to, message, now=NOW, incarnation=LIVES[to])


def test_an_offer_and_its_answer_are_taken() -> None:
    alice, bob = side(ALICE), side(BOB)
    assert alice.needs_incarnation(OFFER)
    offer = alice.sign(BOB, OFFER, now=NOW, incarnation=8)
    assert fault(bob, unpack_negotiate(pack_negotiate(offer))) is None
    assert not bob.needs_incarnation(ANSWER)
    answer = bob.sign(ALICE, ANSWER, now=NOW + 1)
    assert fault(alice, answer, source=BOB, is_live=True) is None
    assert fault(bob, offer, is_live=True) is None, "said again, for it may have got lost"
    second = alice.sign(BOB, replace(OFFER, exchange=2), now=NOW + 2, incarnation=8)
    assert fault(bob, second, is_live=True) is None


@pytest.mark.parametrize(
    "body", [Candidate("x"), RequestOffer(RequestCause.CONNECT), Bye("enough")]
)
def test_other_steps_are_nobody_s_and_pass(body: Candidate | RequestOffer | Bye) -> None:
    message = NegotiateMessage("c1", 1, body)
    assert side(ALICE).sign(BOB, message, now=NOW) is message
    assert fault(side(BOB), message) is None


def changed(message: NegotiateMessage, **fields: object) -> NegotiateMessage:
    """Another statement under the key of Alice: what a thief of nothing but signatures has not."""
    assert message.proof is not None
    statement = pb.DescriptionStatement.FromString(message.proof.statement)
    for name, value in fields.items():
        if isinstance(value, ActrId):
            getattr(statement, name).CopyFrom(value.to_message())
        else:
            setattr(statement, name, value)
    data = statement.SerializeToString()
    signature = KEYS[ALICE].sign(signed_text(DESCRIPTION, data))
    return replace(message, proof=Proof(data, message.proof.certificate, signature))


def proof_of(message: NegotiateMessage) -> Proof:
    assert message.proof is not None
    return message.proof


def with_proof(message: NegotiateMessage, **fields: bytes) -> NegotiateMessage:
    return replace(message, proof=replace(proof_of(message), **fields))


def says(message: NegotiateMessage, sdp: str, name: str) -> NegotiateMessage:
    return replace(message, body=Offer(sdp, {"0": name}))


def signed_by_eve(message: NegotiateMessage) -> NegotiateMessage:
    text = signed_text(DESCRIPTION, proof_of(message).statement)
    return with_proof(message, signature=KEYS[EVE].sign(text))


def stated_before(message: NegotiateMessage) -> NegotiateMessage:
    other = offered(message=replace(OFFER, exchange=3))
    return with_proof(message, statement=proof_of(other).statement)


def at(seconds: float) -> Callable[[NegotiateMessage], NegotiateMessage]:
    return lambda message: changed(message, time_ms=round((NOW + seconds) * 1000))


EVIL = SDP.replace("AA", "EE")
ATTACKS: dict[str, tuple[Fault, Callable[[NegotiateMessage], NegotiateMessage]]] = {
    "its proof is taken away": (Fault.STRIPPED, lambda m: replace(m, proof=None)),
    "its fingerprint is replaced": (Fault.SWAPPED, lambda m: says(m, EVIL, "camera")),
    "a track is renamed": (Fault.SWAPPED, lambda m: says(m, SDP, "screen")),
    "it is put into another connection": (Fault.SWAPPED, lambda m: replace(m, connection_id="x")),
    "it is put into a later exchange": (Fault.SWAPPED, lambda m: replace(m, exchange=2)),
    "it is made an answer": (Fault.SWAPPED, lambda m: replace(m, body=Answer(SDP))),
    "its statement is another": (Fault.SIGNATURE, stated_before),
    "its certificate is another's": (
        Fault.FOREIGN,
        lambda m: with_proof(m, certificate=EVE.text.encode()),
    ),
    "its certificate has ended": (
        Fault.CERTIFICATE,
        lambda m: with_proof(m, certificate=b"expired"),
    ),
    "another signs, with the certificate of its sender": (Fault.SIGNATURE, signed_by_eve),
    "another signs for itself": (Fault.FOREIGN, lambda _: offered(EVE)),
    "it was for somebody else": (Fault.REFLECTED, lambda _: offered(to=EVE)),
    "it was for the process before": (Fault.REPLAYED, lambda m: changed(m, to_incarnation=99)),
    "it was made yesterday": (Fault.LATE, at(-86400)),
    "it will be made tomorrow": (Fault.LATE, at(86400)),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_was_done_to_it_is_seen(attack: str) -> None:
    expected, act = ATTACKS[attack]
    assert fault(side(BOB), act(offered())) is expected


def test_a_statement_that_cannot_be_read_is_told() -> None:
    garbage = b"\xff"
    signature = KEYS[ALICE].sign(signed_text(DESCRIPTION, garbage))
    message = replace(OFFER, proof=Proof(garbage, ALICE.text.encode(), signature))
    assert fault(side(BOB), message) is Fault.MALFORMED


def test_an_offer_is_not_sent_back_to_its_sender() -> None:
    assert fault(side(ALICE), offered(), source=BOB) is Fault.FOREIGN
    answer = changed(offered(), to=ALICE, **{"from": BOB})
    assert fault(side(ALICE), answer, source=ALICE) is Fault.REFLECTED


def test_an_offer_of_a_connection_that_has_been_is_not_taken_again() -> None:
    bob, offer = side(BOB), offered()
    assert fault(bob, offer) is None
    assert fault(bob, offer, now=NOW + 30) is Fault.REPLAYED


def test_an_offer_is_good_for_a_minute_by_the_issuer_s_clock() -> None:
    assert fault(side(BOB), offered(), now=NOW + 60) is None
    assert fault(side(BOB), offered(), now=NOW + 60.1) is Fault.LATE


def test_an_answer_is_to_the_offer_that_was_made() -> None:
    alice, bob = side(ALICE), side(BOB)
    assert fault(bob, alice.sign(BOB, OFFER, now=NOW, incarnation=8)) is None
    answer = bob.sign(ALICE, ANSWER, now=NOW)
    alice.sign(BOB, replace(OFFER, body=Offer("v=0\r\n")), now=NOW, incarnation=8)
    assert fault(alice, answer, source=BOB, is_live=True) is Fault.SWAPPED


def test_where_certificates_are_not_required_one_that_is_there_is_held_to_all_the_same() -> None:
    bob = side(BOB, is_required=False)
    assert fault(bob, OFFER) is None
    assert bob.sign(ALICE, ANSWER, now=NOW).proof is None
    assert fault(bob, ATTACKS["its fingerprint is replaced"][1](offered())) is Fault.SWAPPED
    assert fault(bob, offered()) is None
    unsigned = replace(OFFER, exchange=2)
    assert fault(bob, unsigned, is_live=True) is Fault.STRIPPED, "who signed once signs all"


def test_an_offer_to_a_process_that_nobody_knows_is_taken_by_whoever_it_is() -> None:
    assert fault(side(BOB), side(ALICE).sign(BOB, OFFER, now=NOW)) is None


def test_what_is_remembered_has_a_bound() -> None:
    bob = side(BOB)
    for number in range(MAX_REMEMBERED + 10):
        bob.sign(ALICE, replace(OFFER, connection_id=f"c{number}"), now=NOW)
    assert len(bob._offered) == MAX_REMEMBERED


def test_pairs_of_tracks_have_one_order_and_cannot_be_parted_otherwise() -> None:
    assert digest(Offer("s", {"1": "b", "0": "a"})) == digest(Answer("s", {"0": "a", "1": "b"}))
    assert digest(Offer("s", {"0": "1a"})) != digest(Offer("s", {"01": "a"}))


@settings(max_examples=1000)
@given(
    part=st.sampled_from(["statement", "certificate", "signature", "sdp"]),
    at=st.integers(0, 400),
    put=st.binary(min_size=1, max_size=3),
    cut=st.integers(0, 3),
)
def test_no_changed_description_is_taken(part: str, at: int, put: bytes, cut: int) -> None:
    offer = offered()
    before = SDP.encode() if part == "sdp" else getattr(offer.proof, part)
    at %= len(before)
    after = before[:at] + put + before[at + cut :]
    if part == "sdp":
        message = replace(offer, body=replace(offer.body, sdp=after.decode("latin-1")))  # type: ignore[call-arg]
    else:
        message = replace(offer, proof=replace(proof_of(offer), **{part: after}))

    def lenient(data: bytes) -> Certificate:
        try:
            return believe(data)
        except Exception as exc:
            raise CertificateError(CertificateFault.MALFORMED, "none") from exc

    bob = side(BOB)
    bob._believe = lenient
    assert after == before or fault(bob, message) is not None


@pytest.mark.parametrize(
    ("part", "size"), [("statement", 2049), ("certificate", 8193), ("signature", 65)]
)
def test_a_proof_has_its_bounds_before_it_is_looked_at(part: str, size: int) -> None:
    packed = pack_negotiate(with_proof(offered(), **{part: b"x" * size}))
    with pytest.raises(RemoteProtocolError, match="too long a proof"):
        unpack_negotiate(packed)
