"""Proofs and TURN credentials, as ``proto/vectors/proofs.json`` has them."""

from __future__ import annotations

from actr_signaling.protocol.client.proofs import is_proof, proof, turn_credential
from actr_signaling.protocol.identity import ActrId
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
