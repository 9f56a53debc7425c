"""An issuer's access rules: only it can make them, and an actor takes those about itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt import PyJWS

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.keys import key_id
from actr_peer.protocol.rpc.access.published import MAX_PUBLISHED_BYTES, Published, read_published
from actr_peer.protocol.rpc.access.rules import decide

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (1, 2))
KID = key_id(KEY.public_key().public_bytes_raw())
KEYS = {KID: KEY.public_key().public_bytes_raw(), "weak-key": bytes(32)}
ROOM, ANN = (ActrId("acme", name, "1") for name in ("room", "ann"))
TABLE = {"effect": "allow", "callers": ["acme:ann@*"]}
PAYLOAD: dict[str, Any] = {"iss": "tests", "version": 7, "iat": 100, "rules": [TABLE]}


def file(text: object) -> str:
    return json.dumps({"access": text})


def signed(payload: object = PAYLOAD, key: Ed25519PrivateKey = KEY, **header: str) -> str:
    kid = key_id(key.public_key().public_bytes_raw())
    said = {"typ": "actr-access+jwt", "kid": kid, **header}
    return file(PyJWS().encode(json.dumps(payload).encode(), key, "EdDSA", headers=said))


def test_what_an_issuer_signs_is_read_as_it_was() -> None:
    assert read_published(signed(), KEYS) == Published(7, 100, [TABLE])
    assert read_published(signed({**PAYLOAD, "rules": None}), KEYS).tables is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "write what it has at /v1/access"),
        ("[]", "write what it has"),
        (file(7), "write what it has"),
        (signed() + " " * MAX_PUBLISHED_BYTES, "write what it has"),
        (file("ü"), "no JWS of alg EdDSA"),
        (file("a.b.c"), "no JWS of alg EdDSA"),
        (signed(typ="actr+jwt"), "no JWS of alg EdDSA"),
        (signed(more="x"), "no JWS of alg EdDSA"),
        (signed(kid="weak-key"), "which is not known"),
        (signed(key=OTHER), "which is not known"),
        (signed()[:-7] + 'AAAA"}', "did not sign them as they are"),
        (signed([]), "not as they must be"),
        (signed({**PAYLOAD, "rules": {}}), "not as they must be"),
        (signed({**PAYLOAD, "rules": [TABLE] * 257}), "not as they must be"),
        (signed({**PAYLOAD, "rules": [7]}), "not as they must be"),
        (signed({**PAYLOAD, "rules": [{**TABLE, "caller": []}]}), "not as they must be"),
        (signed({**PAYLOAD, "rules": [{"effect": "allow"}]}), "not as they must be"),
        (signed({**PAYLOAD, "rules": [{**TABLE, "effect": []}]}), "not as they must be"),
        (signed({**PAYLOAD, "rules": [{**TABLE, "targets": []}]}), "not as they must be"),
        (signed({**PAYLOAD, "rules": [{**TABLE, "claims": ["a"] * 17}]}), "not as they must be"),
        (signed({**PAYLOAD, "version": -4}), "not as they must be"),
        (signed({**PAYLOAD, "iat": 2**53}), "not as they must be"),
        (signed({**PAYLOAD, "rules": [{**TABLE, "callers": "x"}]}), "not as they must be"),
        (signed({**PAYLOAD, "rules": [{**TABLE, "callers": [7]}]}), "not as they must be"),
    ],
)
def test_what_is_not_an_issuers_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_published(text, KEYS)
    assert said in str(caught.value)


def test_an_actor_takes_the_rules_that_are_about_itself() -> None:
    tables = [
        {**TABLE, "targets": ["acme:other@*"]},
        {**TABLE, "targets": ["acme:room@*:elsewhere"]},
        {**TABLE, "targets": ["acme:room@*"], "claims": ["role=operator"]},
        {"effect": "deny", "callers": ["acme:ann@2"], "methods": ["media"]},
    ]
    rules = Published(1, 1, tables).rules_for(ROOM)
    assert rules is not None
    assert [rule.place for rule in rules] == ["rule 3 of the issuer", "rule 4 of the issuer"]
    assert not decide(rules, ANN, "demo.Chat.Say").is_allowed
    allowed = decide(rules, ANN, "demo.Chat.Say", {"role": "operator"})
    assert allowed.is_allowed
    assert allowed.why == (
        "rule 3 of the issuer says: allow acme:ann@*:default with role=operator *"
    )
    assert Published(1, 1, None).rules_for(ROOM) is None
    assert Published(1, 1, []).rules_for(ROOM) == ()


@pytest.mark.parametrize("table", [{**TABLE, "effect": "maybe"}, {**TABLE, "targets": ["acme"]}])
def test_a_rule_that_is_none_is_refused_when_it_is_taken(table: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Published(1, 1, [table]).rules_for(ROOM)
