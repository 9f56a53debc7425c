"""Proofs of the realm secret, and signatures, as ``proto/vectors/proofs.json`` has them."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr import signaling_pb2 as pb
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate, verify_certificate
from actr_peer.protocol.identity.descriptions import DescriptionError, Statements
from actr_peer.protocol.identity.signatures import sign, signed_text, verify
from actr_peer.protocol.signaling import proofs as signaling
from actr_peer.protocol.webrtc.messages import pack_negotiate, unpack_negotiate
from actr_peer.protocol.webrtc.negotiation import Answer, NegotiateMessage, Offer
from actr_peer.protocol.websocket.proofs import Ends, Side, make_mac
from actr_peer.protocol.websocket.upgrade import make_accept
from peer_kit.vectors import Vector, each
from peer_kit.vectors.identities import Holder


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
    ends = Ends(dialler, listener, nonces)
    for side, name in ((Side.DIALLER, "proof"), (Side.LISTENER, "welcome")):
        assert make_mac(secret, side, ends).hex() == vector[name]


@each("proofs", "upgrade_keys")
def test_a_key_has_the_answer_of_the_standard(vector: Vector) -> None:
    assert make_accept(vector["key"]) == vector["accept"]


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


def believing(vector: Vector, who: str, incarnation: int, own: Holder) -> Statements:
    """One actor's, which believes the vector's issuer at the vector's time."""
    keys = {name: bytes.fromhex(key) for name, key in vector["issuer_keys"].items()}

    def believe(data: bytes) -> Certificate:
        return verify_certificate(data, keys, now=vector["now"])

    return Statements(
        ActrId.parse(who), incarnation, identity=own, believe=believe, is_required=True
    )


def holder(vector: Vector, side: str) -> Holder:
    seed = bytes.fromhex(vector[f"{side}_seed"])
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return Holder(vector[f"{side}_certificate"], key)


@each("proofs", "descriptions")
def test_an_offer_and_its_answer_are_signed_and_taken(vector: Vector) -> None:
    sides = {
        side: believing(vector, vector[side], vector[f"{side}_incarnation"], holder(vector, side))
        for side in ("offerer", "answerer")
    }
    ids = {side: ActrId.parse(vector[side]) for side in sides}
    bodies: dict[str, Offer | Answer] = {
        "offer": Offer(vector["offer_sdp"], vector["offer_tracks"]),
        "answer": Answer(vector["answer_sdp"], vector["answer_tracks"]),
    }
    now = float(vector["now"])
    for name, by, to in (("offer", "offerer", "answerer"), ("answer", "answerer", "offerer")):
        message = NegotiateMessage(vector["connection_id"], vector["exchange"], bodies[name])
        incarnation = vector[f"{to}_incarnation"]
        signed = sides[by].sign(ids[to], message, now=now, incarnation=incarnation)
        assert signed.proof is not None
        assert signed.proof.statement.hex() == vector[f"{name}_statement"]
        assert signed.proof.signature.hex() == vector[f"{name}_signature"]
        assert pack_negotiate(signed).SerializeToString(deterministic=True).hex() == vector[name]
        packed = pb.Negotiate.FromString(bytes.fromhex(vector[name]))
        sides[to].check(ids[by], unpack_negotiate(packed), now=now, is_live=name == "answer")
        now += 1


@each("proofs", "refused_descriptions")
def test_a_description_is_dropped_for_this_fault(vector: Vector) -> None:
    own = Holder("", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    receiver = believing(vector, vector["receiver"], vector["receiver_incarnation"], own)
    message = unpack_negotiate(pb.Negotiate.FromString(bytes.fromhex(vector["negotiate"])))
    sender = ActrId.parse(vector["sender"])
    with pytest.raises(DescriptionError) as dropped:
        receiver.check(sender, message, now=float(vector["now"]), is_live=False)
    assert dropped.value.fault.value == vector["fault"]
