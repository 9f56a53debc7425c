from __future__ import annotations

from actr_signaling.protocol.client.proofs import is_proof, proof, turn_credential
from signaling_kit.client import actor


def test_a_proof_is_the_hmac_of_context_server_nonce_and_identity() -> None:
    mac = proof(b"secret", server_id="s1", nonce=bytes(32), id=actor("room@2"))
    # printf 'actr/signaling/v1s1<32 zero bytes>acme:room@2:default' | openssl dgst -sha256 -hmac
    assert mac.hex() == "907c606e4f1cddc2fac568ee783528bc1d47823a60dbf4ca266cd5dceb26c7ee"
    assert is_proof(mac, b"secret", server_id="s1", nonce=bytes(32), id=actor("room@2"))


def test_turn_credentials_are_those_that_coturn_computes() -> None:
    username, password = turn_credential(b"north", id=actor("room@2"), expires_at=1_700_000_000)
    assert username == "1700000000:acme:room@2:default"
    # printf '1700000000:acme:room@2:default' | openssl dgst -sha1 -hmac north -binary | base64
    assert password == "I3ZGecz6SMsUhOV1L4OM2fa7OHc="
