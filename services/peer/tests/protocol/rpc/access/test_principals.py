"""Who asks is an id, and what its newest certificate says; an older one changes nothing."""

from __future__ import annotations

import hashlib
import json
from types import MappingProxyType

import pytest

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.keys import encode
from actr_peer.protocol.rpc.access import principals
from actr_peer.protocol.rpc.access.principals import (
    MAX_UNPROVEN,
    NO_CLAIMS,
    Principal,
    Principals,
    Trust,
)

ALICE, BOB = (ActrId("acme", "chat", name) for name in ("alice", "bob"))
KEY = bytes(range(32))


def certificate(issued_at: int = 100, **claims: str | tuple[str, ...]) -> Certificate:
    said = MappingProxyType(claims)
    times = issued_at, issued_at, issued_at + 900
    return Certificate("tests", "acme:chat@alice", "default", KEY, said, *times, "n", "text")


def written(issued_at: int = 100, **claims: str) -> str:
    """A certificate as text that nobody signed: it is read from the own disk only."""
    payload = {
        "iss": "tests",
        "sub": "acme:chat@alice",
        "realm": "default",
        "cnf": {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": encode(KEY)}},
        "claims": claims,
        "iat": issued_at,
        "nbf": issued_at,
        "exp": issued_at + 900,
        "jti": "n",
    }
    header = {"alg": "EdDSA", "kid": "k" * 16, "typ": "actr+jwt"}
    parts = (encode(json.dumps(part).encode()) for part in (header, payload))
    return ".".join((*parts, encode(bytes(64))))


def test_a_principal_stands_wherever_its_id_may() -> None:
    principal = Principal.certified(ALICE, certificate(role="operator"))
    assert principal == ALICE
    assert principal == ALICE
    assert {ALICE: 1}[principal] == 1
    assert str(principal) == str(ALICE)
    assert sorted([BOB, principal]) == [ALICE, BOB]
    assert isinstance(principal, ActrId)


def test_a_principal_shows_what_its_certificate_says() -> None:
    principal = Principal.certified(ALICE, certificate(role="operator", teams=("a", "b")))
    assert principal.is_verified
    assert principal.trust is Trust.CERTIFICATE
    assert principal.claims == {"role": "operator", "teams": ("a", "b")}
    assert principal.fingerprint == hashlib.sha256(KEY).hexdigest()
    assert (principal.issued_at, principal.expires_at) == (100, 1000)
    with pytest.raises(AttributeError):
        principal.claims = {}  # type: ignore[misc]
    with pytest.raises(TypeError):
        principal.claims["role"] = "admin"  # type: ignore[index]


@pytest.mark.parametrize("trust", [Trust.DEVELOPMENT, Trust.SECRET])
def test_of_who_shows_nothing_only_the_trust_of_the_realm_is_known(trust: Trust) -> None:
    known = Principals(BOB, trust)
    principal = known[ALICE.text]
    assert (principal.trust, principal.claims, principal.fingerprint) == (trust, NO_CLAIMS, "")
    assert not principal.is_verified
    assert known.of(ALICE) is principal, "one object for all requests"


def test_what_is_no_id_is_nobody() -> None:
    with pytest.raises(ConfigError):
        Principals()["nobody"]


def test_the_newest_certificate_is_what_is_known_and_an_older_one_changes_nothing() -> None:
    known = Principals(BOB)
    assert known.show(ALICE, certificate(100, role="guest"))
    assert known.show(ALICE, certificate(200, role="operator"))
    newest = known.of(ALICE)
    assert newest.claims == {"role": "operator"}
    assert not known.show(ALICE, certificate(100, role="guest"))
    assert not known.show(ALICE, certificate(200, role="operator"))
    assert known.of(ALICE) is newest


def test_what_was_kept_on_the_disk_is_known_until_something_newer_is_shown() -> None:
    known = Principals(BOB)
    known.restore(ALICE.text, written(100, role="guest"))
    assert known.of(ALICE).claims == {"role": "guest"}
    assert known.show(ALICE, certificate(200, role="operator"))
    known.restore(ALICE.text, written(100, role="guest"))
    assert known.of(ALICE).claims == {"role": "operator"}


@pytest.mark.parametrize("text", ["", "no certificate", "ünreadable"])
def test_what_cannot_be_read_from_the_disk_is_passed_over(text: str) -> None:
    known = Principals(BOB)
    known.restore(ALICE.text, text)
    assert known.of(ALICE).claims == {}


def test_the_actor_itself_has_what_its_own_certificate_of_the_moment_says() -> None:
    known, texts = Principals(ALICE), [written(100, role="guest")]
    assert known.of(ALICE).claims == {}
    known = Principals(ALICE)
    known.follow(lambda: texts[0])
    first = known.of(ALICE)
    assert first.claims == {"role": "guest"}
    assert known.of(ALICE) is first
    assert known.of(BOB).claims == {}
    texts[0] = written(200, role="operator")
    assert known.of(ALICE).claims == {"role": "operator"}
    texts[0] = ""
    assert not known.of(ALICE).is_verified


def test_of_very_many_actors_the_one_that_showed_itself_longest_ago_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(principals, "MAX_PRINCIPALS", 2)
    known = Principals(BOB)
    several = [ActrId("acme", "chat", str(number)) for number in range(3)]
    known.of(BOB)
    for number, actor in enumerate(several[:2]):
        known.show(actor, certificate(100 + number))
    known.show(several[0], certificate(200))
    known.show(several[2], certificate(300))
    assert [known.of(actor).is_verified for actor in several] == [True, False, True]


def test_of_those_who_show_nothing_few_are_remembered() -> None:
    known = Principals(BOB)
    known.show(ALICE, certificate(100))
    for number in range(MAX_UNPROVEN + 10):
        known.of(ActrId("acme", "chat", str(number)))
    assert len(known) == MAX_UNPROVEN + 1
    assert known.of(ALICE).is_verified
    assert "acme:chat@0:default" not in known
    last = ActrId("acme", "chat", str(MAX_UNPROVEN))
    assert known.show(last, certificate(100)), "it shows what it is, after all"
    assert known.of(last).is_verified
