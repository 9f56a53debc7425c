from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr_signaling.issuer.protocol import proofs
from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.requests import Enrol, Renew, Rotate
from actr_signaling.issuer.protocol.subjects import Subject
from actr_signaling.protocol.identity.signatures import RENEW, signed_text

ONE = Ed25519PrivateKey.from_private_bytes(b"1" * 32)
TWO = Ed25519PrivateKey.from_private_bytes(b"2" * 32)
KEY, OTHER = ONE.public_key().public_bytes_raw(), TWO.public_key().public_bytes_raw()
NONCE = b"n" * 32
SECRET = b"a secret of some length"
ROOM = Subject.parse("acme:room@2")
DRAFT = Enrol(subject=ROOM, realm="default", key=KEY, nonce=NONCE, proof=b"")
TEXT = proofs.enrol_text(DRAFT)
ENROL = replace(DRAFT, proof=ONE.sign(TEXT), mac=hmac.digest(SECRET, TEXT, hashlib.sha256))
OTHERS: tuple[dict[str, Any], ...] = (
    {"subject": Subject.parse("acme:room@3")},
    {"realm": "lab"},
    {"nonce": b"m" * 32},
)


def test_what_is_signed_tells_its_parts_apart() -> None:
    assert TEXT.hex() == (
        b"actr/issuer/v1/enrol\0".hex()
        + "00000020" + NONCE.hex()
        + "0000000b" + b"acme:room@2".hex()
        + "00000007" + b"default".hex()
        + "00000020" + KEY.hex()
    )  # fmt: skip


def test_the_key_and_the_secret_of_the_request_are_accepted() -> None:
    proofs.check_enrol(ENROL)
    proofs.check_mac(ENROL, SECRET)


@pytest.mark.parametrize("change", [*OTHERS, {"key": OTHER}], ids=lambda one: next(iter(one)))
def test_a_proof_is_of_one_request_only(change: dict[str, Any]) -> None:
    with pytest.raises(RefusalError) as refused:
        proofs.check_enrol(replace(ENROL, **change))
    assert refused.value.cause is Cause.PROOF
    with pytest.raises(RefusalError) as refused:
        proofs.check_mac(replace(ENROL, **change), SECRET)
    assert refused.value.cause is Cause.SECRET


@pytest.mark.parametrize("secret", [None, b"", b"another secret"])
def test_a_mac_is_by_the_secret_of_the_realm(secret: bytes | None) -> None:
    with pytest.raises(RefusalError) as refused:
        proofs.check_mac(ENROL, secret)
    assert refused.value.cause is Cause.SECRET


def test_a_realm_without_a_secret_is_not_proven_by_an_empty_one() -> None:
    forged = replace(ENROL, mac=hmac.digest(bytes(32), TEXT, hashlib.sha256))
    with pytest.raises(RefusalError):
        proofs.check_mac(forged, None)
    with pytest.raises(RefusalError):
        proofs.check_mac(replace(ENROL, mac=None), SECRET)


def test_a_renewal_is_signed_by_the_key_and_is_no_enrolment() -> None:
    text = signed_text(RENEW, NONCE, KEY)
    proofs.check_renew(Renew(key=KEY, nonce=NONCE, proof=ONE.sign(text)))
    for proof in (TWO.sign(text), ENROL.proof):
        with pytest.raises(RefusalError):
            proofs.check_renew(Renew(key=KEY, nonce=NONCE, proof=proof))


def test_a_change_of_keys_is_signed_by_both() -> None:
    text = signed_text(proofs.ROTATE, NONCE, KEY, OTHER)
    old, new = ONE.sign(text), TWO.sign(text)
    good = Rotate(key=KEY, nonce=NONCE, proof=old, new_key=OTHER, new_proof=new)
    proofs.check_rotate(good)
    for bad in (replace(good, proof=new), replace(good, new_proof=old)):
        with pytest.raises(RefusalError):
            proofs.check_rotate(bad)
