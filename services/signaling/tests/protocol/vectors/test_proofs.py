"""Proofs, TURN credentials and signatures, as ``proto/vectors/proofs.json`` has them."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr import signaling_pb2 as pb
from actr_signaling.protocol.client import messages
from actr_signaling.protocol.client.proofs import is_proof, proof, turn_credential
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.identity.certificates import verify_certificate
from actr_signaling.protocol.identity.signatures import DESCRIPTION, sign, signed_text, verify
from signaling_kit.vectors import Vector, each


@each("proofs", "signaling")
def test_the_proof_of_the_realm_secret_is_the_one_that_is_taken(vector: Vector) -> None:
    secret, nonce = bytes.fromhex(vector["secret"]), bytes.fromhex(vector["nonce"])
    id, server_id = ActrId.parse(vector["id"]), vector["server_id"]
    assert proof(secret, server_id=server_id, nonce=nonce, id=id).hex() == vector["mac"]
    mac = bytes.fromhex(vector["mac"])
    assert is_proof(mac, secret, server_id=server_id, nonce=nonce, id=id)


@each("proofs", "turn")
def test_turn_credentials_are_those_that_the_turn_server_computes(vector: Vector) -> None:
    secret, id = bytes.fromhex(vector["secret"]), ActrId.parse(vector["id"])
    made = turn_credential(secret, id=id, expires_at=vector["expires_at"])
    assert made == (vector["username"], vector["password"])


@each("proofs", "signatures")
def test_a_key_signs_a_label_and_parts_that_cannot_be_parted_otherwise(vector: Vector) -> None:
    label, parts = vector["label"].encode(), [bytes.fromhex(part) for part in vector["parts"]]
    assert signed_text(label, *parts).hex() == vector["text"]
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["seed"]))
    signature = sign(key, label, *parts)
    assert signature.hex() == vector["signature"]
    assert verify(bytes.fromhex(vector["key"]), signature, label, *parts)


@each("proofs", "refused_signatures")
def test_what_the_key_did_not_sign_is_refused(vector: Vector) -> None:
    parts = [bytes.fromhex(part) for part in vector["parts"]]
    key, signature = bytes.fromhex(vector["key"]), bytes.fromhex(vector["signature"])
    assert not verify(key, signature, vector["label"].encode(), *parts)


@each("proofs", "descriptions")
def test_what_a_service_relays_can_be_checked_by_anybody(vector: Vector) -> None:
    keys = {name: bytes.fromhex(key) for name, key in vector["issuer_keys"].items()}
    for name, by, to in (("offer", "offerer", "answerer"), ("answer", "answerer", "offerer")):
        negotiate = pb.Negotiate.FromString(bytes.fromhex(vector[name]))
        relay = pb.Relay(to=ActrId.parse(vector[to]).to_wire(), negotiate=negotiate)
        read = messages.read(messages.parse(pb.ClientMessage(relay=relay).SerializeToString()))
        assert isinstance(read, messages.Relay), "within the bounds of the service"
        certificate = verify_certificate(negotiate.certificate, keys, now=vector["now"])
        assert certificate.covers(ActrId.parse(vector[by]))
        signature, statement = negotiate.signature, negotiate.statement
        assert verify(certificate.key, signature, DESCRIPTION, statement)
