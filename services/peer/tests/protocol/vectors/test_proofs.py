"""Proofs of the realm secret, as ``proto/vectors/proofs.json`` has them."""

from __future__ import annotations

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling import session as signaling
from actr_peer.protocol.websocket.handshake import State, make_mac
from actr_peer.protocol.websocket.upgrade import make_accept
from peer_kit.vectors import Vector, each


@each("proofs", "signaling")
def test_the_proof_that_signaling_asks_for_is_made(vector: Vector) -> None:
    secret, nonce = bytes.fromhex(vector["secret"]), bytes.fromhex(vector["nonce"])
    mac = signaling.make_mac(secret, vector["server_id"], nonce, vector["id"])
    assert mac.hex() == vector["mac"]


@each("proofs", "wire")
def test_both_proofs_of_a_wire_are_made(vector: Vector) -> None:
    secret = bytes.fromhex(vector["secret"])
    dialler, listener = ActrId.parse(vector["dialler"]), ActrId.parse(vector["listener"])
    nonces = bytes.fromhex(vector["dialler_nonce"] + vector["listener_nonce"])
    for step, name in ((State.PROOF, "proof"), (State.WELCOME, "welcome")):
        assert make_mac(secret, step, dialler, listener, nonces).hex() == vector[name]


@each("proofs", "upgrade_keys")
def test_a_key_has_the_answer_of_the_standard(vector: Vector) -> None:
    assert make_accept(vector["key"]) == vector["accept"]
