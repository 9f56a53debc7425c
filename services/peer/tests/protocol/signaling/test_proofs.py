from __future__ import annotations

from actr import signaling_pb2 as pb
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.signatures import AUTHENTICATE, REGISTER, verify
from actr_peer.protocol.signaling import requests
from actr_peer.protocol.signaling.messages import Hello
from actr_peer.protocol.signaling.presence import Registration
from actr_peer.protocol.signaling.proofs import Proofs
from peer_kit.signaling.holders import Authority

WHO = ActrId("acme", "room", "2")
HOLDER = Authority(lambda: 1_800_000_000).enrol(WHO)
NONCE = bytes(range(32))
REGISTRATION = Registration(id=WHO, incarnation=7, ws_address="ws://a:1/v1/wire")


def hello(*, certificate_required: bool) -> Hello:
    return Hello(
        nonce=NONCE,
        server_id="s1",
        proof_required=False,
        max_message_bytes=0,
        certificate_required=certificate_required,
        time=1.0,
    )


def test_it_shows_its_certificate_and_signs_the_nonce() -> None:
    proof = Proofs(None, HOLDER).authenticate(WHO, hello(certificate_required=True))
    assert proof.certificate == HOLDER.certificate.encode()
    parts = b"s1", NONCE, str(WHO).encode()
    assert verify(HOLDER.public, proof.signature, AUTHENTICATE, *parts)
    assert proof.mac == b""


def test_the_secret_is_proven_to_who_may_take_either_and_to_nobody_who_does_not() -> None:
    proofs = Proofs(b"secret", HOLDER)
    either = proofs.authenticate(WHO, hello(certificate_required=False))
    assert either.mac
    assert either.signature
    assert proofs.authenticate(WHO, hello(certificate_required=True)).mac == b""


def test_what_it_says_of_itself_says_when_it_was_signed() -> None:
    request = Proofs(None, HOLDER, lambda: 1_800_000_000.5).register(REGISTRATION)
    assert request.signed is not None
    assert pb.Register.FromString(request.signed.register).signed_at_ms == 1_800_000_000_500
    sent = requests.encode(1, request)
    assert pb.ClientMessage.FromString(sent).register.signed_at_ms == 1_800_000_000_500


def test_what_it_registers_is_signed_byte_for_byte() -> None:
    request = Proofs(None, HOLDER).register(REGISTRATION)
    signed = request.signed
    assert signed is not None
    assert verify(HOLDER.public, signed.signature, REGISTER, signed.register)
    sent = pb.ClientMessage.FromString(requests.encode(2, request)).register
    assert sent.signed.certificate == HOLDER.certificate.encode()
    said = pb.Register.FromString(signed.register)
    sent.ClearField("signed")
    assert said == sent


def test_that_it_takes_no_identity_over_is_asked_and_not_signed() -> None:
    asking = Registration(id=WHO, incarnation=7, takes_over=False)
    request = Proofs(None, HOLDER).register(asking)
    assert request.only_if_free
    assert request.signed is not None
    assert not pb.Register.FromString(request.signed.register).only_if_free


def test_without_a_key_nothing_is_signed() -> None:
    proofs = Proofs(b"secret")
    assert proofs.certificate == ""
    assert proofs.register(REGISTRATION).signed is None
    proof = proofs.authenticate(WHO, hello(certificate_required=False))
    assert (proof.certificate, proof.signature) == (b"", b"")
