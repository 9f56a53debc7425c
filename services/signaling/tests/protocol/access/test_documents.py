"""Access rules as they are published: nobody but an issuer can make them, or change a byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt import PyJWS

from actr_signaling.errors import ConfigError
from actr_signaling.protocol.access.documents import (
    MAX_DOCUMENT_BYTES,
    make_document,
    read_document,
)
from actr_signaling.protocol.identity.keys import key_id

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (1, 2))
KID = key_id(KEY.public_key().public_bytes_raw())
KEYS = {KID: KEY.public_key().public_bytes_raw()}
RULES: list[Any] = [{"effect": "allow", "callers": ["*:*@*"]}]


def made(key: Ed25519PrivateKey = KEY, rules: Any = RULES, version: int = 7) -> str:
    return make_document(key, issuer="tests", version=version, now=100, rules=rules)


def file(text: object) -> bytes:
    return json.dumps({"access": text}).encode()


def test_what_an_issuer_signs_is_read_as_it_was() -> None:
    read = read_document(file(made()), KEYS)
    assert (read.version, read.issued_at) == (7, 100)
    assert read.rules is not None
    assert read.rules[0].allows
    assert read_document(file(made(rules=None)), KEYS).rules is None
    assert read_document(file(made(rules=[])), KEYS).rules == ()


def signed(payload: object, **header: str) -> bytes:
    said = {"typ": "actr-access+jwt", "kid": KID, **header}
    return file(PyJWS().encode(json.dumps(payload).encode(), KEY, "EdDSA", headers=said))


PAYLOAD = {"iss": "tests", "version": 1, "iat": 1, "rules": []}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "write what the issuer has at /v1/access"),
        (b"[]", "write what the issuer has"),
        (file(7), "write what the issuer has"),
        (file(made()) + b" " * MAX_DOCUMENT_BYTES, "write what the issuer has"),
        (file("ü"), "not a JWS of alg EdDSA"),
        (file("a.b.c"), "not a JWS of alg EdDSA"),
        (signed(PAYLOAD, typ="actr+jwt"), "not a JWS of alg EdDSA, typ actr-access+jwt"),
        (signed(PAYLOAD, more="x"), "not a JWS of alg EdDSA"),
        (signed(PAYLOAD, kid="x"), "not a JWS of alg EdDSA"),
        (file(made(OTHER)), "which is not known"),
        (file(made()[:-4] + "AAAA"), "did not sign them as they are"),
        (signed([]), "they lack version, iat or rules"),
        (signed({**PAYLOAD, "version": -1}), "they lack version, iat or rules"),
        (signed({**PAYLOAD, "iat": 2**53}), "they lack version, iat or rules"),
        (signed({**PAYLOAD, "rules": {}}), "at most 256"),
    ],
)
def test_what_is_not_an_issuers_is_refused(data: bytes, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_document(data, KEYS)
    assert text in str(caught.value)


def test_a_changed_byte_of_what_was_signed_is_seen() -> None:
    head, payload, signature = made().split(".")
    for place in range(0, len(payload), 7):
        letter = "B" if payload[place] == "A" else "A"
        changed = ".".join((head, payload[:place] + letter + payload[place + 1 :], signature))
        with pytest.raises(ConfigError):
            read_document(file(changed), KEYS)
