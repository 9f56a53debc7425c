"""How a WebSocket wire begins, as ``proto/vectors/handshakes.json`` has it."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509 import load_der_x509_certificate

from actr.envelope_pb2 import WireHandshake
from actr_peer.errors import PeerError, RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import verify_certificate
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.websocket.handshake import (
    Accepted,
    DiallerHandshake,
    ListenerHandshake,
    Refused,
    Reply,
)
from actr_peer.protocol.websocket.proofs import bound_nonce
from actr_peer.protocol.websocket.upgrade import Accept, Refusal, check_answer, judge
from peer_kit.vectors import Vector, each
from peer_kit.vectors.identities import Holder


def dialler(vector: Vector) -> DiallerHandshake:
    return DiallerHandshake(
        local=ActrId.parse(vector["dialler"]),
        remote=ActrId.parse(vector["listener"]),
        nonce=bytes.fromhex(vector["dialler_nonce"]),
        secret=bytes.fromhex(vector["secret"]) or None,
    )


def listener(vector: Vector, *realms: str) -> ListenerHandshake:
    return ListenerHandshake(
        local=ActrId.parse(vector["listener"]),
        nonce=bytes.fromhex(vector["listener_nonce"]),
        secret=bytes.fromhex(vector["secret"]) or None,
        allowed_realms=realms,
    )


@each("handshakes", "upgrade_requests")
def test_a_listener_answers_a_request_with_this_status(vector: Vector) -> None:
    match judge(vector["head"].encode("latin-1")):
        case Accept(key, hello, proof):
            assert vector["status"] == 101
            assert key in vector["head"]
            assert hello.hex() == vector.get("hello", "")
            assert proof.hex() == vector.get("proof", "")
        case Refusal() as refusal:
            assert refusal.status == vector["status"]


@each("handshakes", "upgrade_answers")
def test_a_dialler_takes_an_answer_or_says_what_is_wrong_with_it(vector: Vector) -> None:
    head, key = vector["head"].encode("latin-1"), vector["key"]
    if not vector["error"]:
        assert check_answer(head, key) is vector.get("is_taken", False)
        return
    with pytest.raises(RemoteProtocolError, match=re.escape(vector["error"])):
        check_answer(head, key)


@each("handshakes", "steps")
def test_each_step_is_the_answer_to_the_one_before(vector: Vector) -> None:
    steps = {name: bytes.fromhex(vector[name]) for name in ("hello", "challenge", "proof")}
    welcome = bytes.fromhex(vector["welcome"])
    here, there = dialler(vector), listener(vector, ActrId.parse(vector["dialler"]).realm)
    assert here.start() == steps["hello"]
    assert there.receive(steps["hello"]) == Reply(steps["challenge"])
    assert here.receive(steps["challenge"]) == Reply(steps["proof"])
    size = vector["wire_message_bytes"]
    from_there = Accepted(ActrId.parse(vector["dialler"]), welcome, size)
    assert there.receive(steps["proof"]) == from_there
    assert here.receive(welcome) == Accepted(ActrId.parse(vector["listener"]), b"", size)


@each("handshakes", "refused_diallers")
def test_a_listener_refuses_with_this_code(vector: Vector) -> None:
    there = listener(vector, *vector["allowed_realms"])
    *before, last = (there.receive(bytes.fromhex(step)) for step in vector["steps"])
    assert all(isinstance(outcome, Reply) for outcome in before)
    assert isinstance(last, Refused)
    assert last.code == vector["code"]
    assert WireHandshake.FromString(last.step).welcome.error.code == vector["welcome_code"]


@each("handshakes", "refused_listeners")
def test_a_dialler_gives_up_at_the_last_step(vector: Vector) -> None:
    here = dialler(vector)
    here.start()
    *before, last = (bytes.fromhex(step) for step in vector["steps"])
    for step in before:
        here.receive(step)
    with pytest.raises(PeerError, match=re.escape(vector["error"])):
        here.receive(last)


def certified(vector: Vector, side: str) -> Certified:
    """What a side of a vector has; it believes the vector's issuer, at the vector's time."""
    keys = {name: bytes.fromhex(key) for name, key in vector["issuer_keys"].items()}
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector[f"{side}_seed"]))
    return Certified(
        identity=Holder(vector[f"{side}_certificate"], key),
        verify=lambda data: verify_certificate(data, keys, now=vector["now"]),
        now=lambda: float(vector["now"]),
    )


def certified_dialler(vector: Vector) -> DiallerHandshake:
    return DiallerHandshake(
        local=ActrId.parse(vector["dialler"]),
        remote=ActrId.parse(vector["listener"]),
        nonce=bytes.fromhex(vector["dialler_nonce"]),
        secret=None,
        certified=certified(vector, "dialler"),
    )


def sealed_dialler(vector: Vector) -> DiallerHandshake:
    made = certified_dialler(vector)
    made.sealed(bytes.fromhex(vector["tls_key"]))
    return made


def sealed_listener(vector: Vector) -> ListenerHandshake:
    return ListenerHandshake(
        local=ActrId.parse(vector["listener"]),
        nonce=bytes.fromhex(vector["listener_nonce"]),
        secret=None,
        certified=certified(vector, "listener"),
        tls_key=bytes.fromhex(vector["tls_key"]),
    )


@each("handshakes", "certified_steps")
def test_each_step_with_certificates_is_the_answer_to_the_one_before(vector: Vector) -> None:
    here, there = sealed_dialler(vector), sealed_listener(vector)
    step = here.start()
    for name, side in (("hello", there), ("challenge", here), ("proof", there), ("welcome", here)):
        assert step.hex() == vector[name]
        outcome = side.receive(step)
        assert isinstance(outcome, Reply | Accepted)
        step = outcome.step
    assert isinstance(outcome, Accepted)


@each("handshakes", "certified_steps")
def test_the_upgrade_around_them_has_the_first_step_and_the_key_of_tls(vector: Vector) -> None:
    accepted = judge(vector["request"].encode("latin-1"))
    assert accepted == Accept(vector["upgrade_key"], bytes.fromhex(vector["hello"]))
    assert check_answer(vector["answer"].encode("latin-1"), vector["upgrade_key"])
    shown = load_der_x509_certificate(bytes.fromhex(vector["tls_certificate"]))
    key = shown.public_key()
    assert isinstance(key, Ed25519PublicKey)
    assert key.public_bytes_raw().hex() == vector["tls_key"]
    key.verify(shown.signature, shown.tbs_certificate_bytes)


@each("handshakes", "bound_steps")
def test_a_proof_that_goes_with_the_hello_is_answered_with_it(vector: Vector) -> None:
    here, there = certified_dialler(vector), sealed_listener(vector)
    binding = bytes.fromhex(vector["binding"])
    assert bound_nonce(binding).hex() == vector["listener_nonce"]
    hello, proof = here.start(), here.sealed(bytes.fromhex(vector["tls_key"]), binding)
    assert (hello.hex(), proof.hex()) == (vector["hello"], vector["proof"])
    challenge, welcome = there.receive(hello), there.receive(proof)
    assert (challenge.step.hex(), welcome.step.hex()) == (vector["challenge"], vector["welcome"])
    assert here.receive(challenge.step) == Reply(b"")
    assert isinstance(here.receive(welcome.step), Accepted)


@each("handshakes", "refused_certified_diallers")
def test_a_listener_that_requires_a_certificate_refuses_with_this_code(vector: Vector) -> None:
    there = sealed_listener(vector)
    *before, last = (there.receive(bytes.fromhex(step)) for step in vector["steps"])
    assert all(isinstance(outcome, Reply) for outcome in before)
    assert isinstance(last, Refused)
    assert last.code == vector["code"]
    assert WireHandshake.FromString(last.step).welcome.error.code == vector["welcome_code"]


@each("handshakes", "refused_certified_listeners")
def test_a_dialler_that_requires_a_certificate_gives_up_at_the_last_step(vector: Vector) -> None:
    here = sealed_dialler(vector)
    here.start()
    *before, last = (bytes.fromhex(step) for step in vector["steps"])
    for step in before:
        here.receive(step)
    with pytest.raises(PeerError, match=re.escape(vector["error"])):
        here.receive(last)
