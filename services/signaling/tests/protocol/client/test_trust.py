"""Who is believed: each proof that is not is refused for a cause of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from actr import signaling_pb2 as pb
from actr_signaling.errors import (
    BadMessageError,
    CertificateFault,
    Close,
    ConfigError,
    SignalingError,
    UnauthenticatedError,
)
from actr_signaling.issuer.settings import Settings
from actr_signaling.protocol.access.documents import Document
from actr_signaling.protocol.access.rules import parse
from actr_signaling.protocol.client import messages
from actr_signaling.protocol.client.limits import Terms
from actr_signaling.protocol.client.proofs import proof
from actr_signaling.protocol.client.registers import read_register
from actr_signaling.protocol.client.session import Session, State
from actr_signaling.protocol.client.trust import (
    MAX_REVOKED,
    MAX_REVOKED_BYTES,
    Challenge,
    Revoked,
    Trust,
    Why,
    read_revoked,
    vouched,
)
from actr_signaling.protocol.identity.certificates import Certificate, verify_certificate
from actr_signaling.protocol.identity.keys import encode
from signaling_kit.certified import NOW, Holder, Issuer
from signaling_kit.client import actor

SERVER = "s1"
NONCE = bytes(range(32))
SECRET = b"a secret of some length"
ISSUER = Issuer()
ROOM = ISSUER.enrol("room@2")


def said(holder: Holder, *, nonce: bytes = NONCE, **changed: Any) -> messages.Authenticate:
    wire = pb.ClientMessage(authenticate=holder.authenticate(SERVER, nonce, **changed))
    read = messages.read(wire)
    assert isinstance(read, messages.Authenticate)
    return read


def trust(**more: Any) -> Trust:
    return Trust(**{"issuer_keys": ISSUER.keys, **more})


def examine(trust: Trust, message: messages.Authenticate, unix: float = NOW) -> Certificate | None:
    return trust.examine(message, server_id=SERVER, nonce=NONCE, unix=unix)


def certificate_of(holder: Holder) -> Certificate:
    return verify_certificate(holder.certificate, ISSUER.keys, now=NOW)


def test_a_certificate_and_its_key_prove_an_id() -> None:
    assert examine(trust(), said(ROOM)) == certificate_of(ROOM)


def test_a_certificate_with_a_pattern_proves_each_id_of_it() -> None:
    anyone = ISSUER.enrol("room@7", subject="acme:room@*")
    assert examine(trust(), said(anyone)) is not None


MALLORY = ISSUER.enrol("mallory")
CASES: dict[str, tuple[messages.Authenticate, str]] = {
    "no certificate": (messages.Authenticate(ROOM.id, b""), Why.NO_CERTIFICATE),
    "only the proof of a secret": (
        messages.Authenticate(ROOM.id, proof(SECRET, server_id=SERVER, nonce=NONCE, id=ROOM.id)),
        Why.NO_CERTIFICATE,
    ),
    "expired": (
        said(ISSUER.renew(ROOM, now=NOW - 1000)),
        CertificateFault.EXPIRED.value,
    ),
    "of the future": (
        said(ISSUER.renew(ROOM, now=NOW + 61)),
        CertificateFault.NOT_YET_VALID.value,
    ),
    "of a foreign issuer": (
        said(Issuer(9).renew(ROOM)),
        CertificateFault.UNKNOWN_KEY.value,
    ),
    "no certificate at all": (
        said(ROOM, certificate=b"\xffnothing"),
        CertificateFault.MALFORMED.value,
    ),
    "for another actor": (said(ISSUER.renew(ROOM, subject="acme:room@3")), Why.ID),
    "for another realm": (said(ISSUER.renew(ROOM, realm="other")), Why.REALM),
    "stolen, without its key": (
        said(replace(MALLORY, id=ROOM.id, certificate=ROOM.certificate)),
        Why.POSSESSION,
    ),
    "made for another connection": (said(ROOM, nonce=bytes(32)), Why.POSSESSION),
    "signed for another service": (
        messages.Authenticate(
            ROOM.id, b"", ROOM.certificate, ROOM.authenticate("s2", NONCE).signature
        ),
        Why.POSSESSION,
    ),
    "without a signature": (said(ROOM, signature=b""), Why.POSSESSION),
    "with one's own certificate for another's id": (
        said(replace(MALLORY, id=ROOM.id)),
        Why.ID,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_does_not_prove_an_id_is_refused_for_its_cause(case: str) -> None:
    message, cause = CASES[case]
    with pytest.raises(UnauthenticatedError) as refused:
        examine(trust(secret_of=lambda realm: SECRET), message)
    assert (refused.value.code, refused.value.cause) == (Close.UNAUTHENTICATED, cause)


def test_an_expired_certificate_is_refused_with_both_clocks() -> None:
    with pytest.raises(UnauthenticatedError) as refused:
        examine(trust(), CASES["expired"][0])
    assert str(NOW) in refused.value.message
    assert str(NOW - 100) in refused.value.message


@pytest.mark.parametrize("what", ["key", "serial"])
def test_what_was_revoked_is_refused(what: str) -> None:
    held = trust()
    held.revoked = Revoked(
        keys=frozenset({ROOM.public} if what == "key" else ()),
        serials=frozenset({ROOM.serial} if what == "serial" else ()),
    )
    with pytest.raises(SignalingError) as refused:
        examine(held, said(ROOM))
    assert (refused.value.code, refused.value.cause) == (Close.FORBIDDEN, Why.REVOKED)
    assert refused.value.message.startswith("revoked: ")
    assert examine(held, said(MALLORY)) is not None


def test_with_no_issuer_key_known_nobody_is_let_in() -> None:
    held = Trust(issuer_keys={})
    assert held.certificate_required
    with pytest.raises(UnauthenticatedError):
        examine(held, said(ROOM))


def test_without_issuer_and_secret_nobody_proves_anything() -> None:
    held = Trust()
    assert (held.certificate_required, held.secret_required) == (False, False)
    assert held.is_development
    assert not trust().is_development
    assert examine(held, messages.Authenticate(actor("a"), b"")) is None


def test_a_secret_alone_is_a_proof_as_it_was() -> None:
    held = Trust(secret_of={"default": SECRET}.get)
    assert (held.certificate_required, held.secret_required) == (False, True)
    assert not held.is_development
    good = proof(SECRET, server_id=SERVER, nonce=NONCE, id=ROOM.id)
    # Not that service's business: it passes over the certificate.
    assert examine(held, messages.Authenticate(ROOM.id, good, b"c", b"s")) is None
    with pytest.raises(UnauthenticatedError) as refused:
        examine(held, said(ROOM))
    assert refused.value.cause == Why.PROOF


def test_only_where_the_operator_says_so_a_secret_is_a_proof_beside_certificates() -> None:
    good = messages.Authenticate(ROOM.id, proof(SECRET, server_id=SERVER, nonce=NONCE, id=ROOM.id))
    both = trust(secret_of={"default": SECRET}.get, accepts_secrets=True)
    assert (both.certificate_required, both.secret_required) == (False, True)
    assert examine(both, good) is None
    assert examine(both, said(ROOM)) is not None
    with pytest.raises(UnauthenticatedError):
        examine(both, messages.Authenticate(ROOM.id, b""))
    strict = trust(secret_of={"default": SECRET}.get)
    assert (strict.certificate_required, strict.secret_required) == (True, False)
    # Without a secret there is nothing to accept.
    assert trust(accepts_secrets=True).certificate_required


def test_a_bad_certificate_is_not_mended_by_a_good_secret() -> None:
    both = trust(secret_of={"default": SECRET}.get, accepts_secrets=True)
    mac = proof(SECRET, server_id=SERVER, nonce=NONCE, id=ROOM.id)
    with pytest.raises(UnauthenticatedError):
        examine(both, said(ISSUER.renew(ROOM, now=NOW - 1000), mac=mac))


def test_a_registration_goes_on_with_the_newest_certificate_of_its_key() -> None:
    registration = read_register(ROOM.register(incarnation=7))
    newer = ISSUER.renew(ROOM, now=NOW + 1)
    held = vouched(registration, certificate_of(newer))
    assert held.signed is not None
    assert held.signed.certificate == newer.certificate
    assert held.signed.signature == registration.signed.signature  # type: ignore[union-attr]
    assert held == registration, "nothing that others are told"


def test_a_registration_that_another_key_signed_is_refused() -> None:
    registration = read_register(ROOM.register())
    with pytest.raises(UnauthenticatedError) as refused:
        vouched(registration, certificate_of(MALLORY))
    assert refused.value.cause == Why.REGISTRATION


def test_a_registration_that_nobody_signed_is_refused() -> None:
    registration = replace(read_register(ROOM.register()), signed=None)
    with pytest.raises(UnauthenticatedError) as refused:
        vouched(registration, certificate_of(ROOM))
    assert refused.value.cause == Why.UNSIGNED


def test_access_rules_of_an_older_version_change_nothing() -> None:
    known = trust()
    assert known.access_rules is None, "everybody may meet everybody"
    known.takes_access = True
    assert known.access_rules == (), "nobody meets anybody before they are known"
    rules = parse([{"effect": "allow", "callers": ["*:*@*"]}])
    known.take_access(Document(version=2, issued_at=5, rules=rules))
    known.take_access(Document(version=2, issued_at=65, rules=rules))
    assert known.access is not None
    assert known.access.issued_at == 5
    with pytest.raises(ConfigError, match="version 1, where 2 was seen"):
        known.take_access(Document(version=1, issued_at=125, rules=None))
    assert known.access_rules == rules
    known.take_access(Document(version=3, issued_at=125, rules=None))
    assert known.access_rules is None


def test_the_list_of_what_is_revoked_is_read() -> None:
    ISSUER.revoke_key(ROOM)
    ISSUER.revoke_serial(MALLORY)
    read = read_revoked(json.dumps({"revoked": ISSUER.revoked, "version": 2}).encode())
    ISSUER.revoked.clear()
    assert read == Revoked(frozenset({ROOM.public}), frozenset({MALLORY.serial}))
    assert read.has(certificate_of(ROOM))
    assert read.has(certificate_of(MALLORY))
    assert not read.has(certificate_of(ISSUER.enrol("bob")))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"{}", id="no list"),
        pytest.param(b'{"revoked": 3}', id="a number"),
        pytest.param(b'{"revoked": [3]}', id="of numbers"),
        pytest.param(b'{"revoked": [{"key": 3}]}', id="a key that is a number"),
        pytest.param(b'{"revoked": [{"key": "AAAA"}]}', id="a short key"),
        pytest.param(b'{"revoked": [{"key": "????"}]}', id="no base64url"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(
            json.dumps({"revoked": [{"serial": "x"}] * (MAX_REVOKED + 1)}).encode(), id="too many"
        ),
    ],
)
def test_what_is_no_such_list_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessageError):
        read_revoked(data)


def test_a_list_of_all_keys_that_an_issuer_may_have_is_taken() -> None:
    """As the issuer writes its file; of a longer one nothing would be taken."""
    keys = Settings().max_actors
    each = (b"%032d" % number for number in range(keys))
    listed = [{"key": encode(key), "at": 1_800_000_000} for key in each]
    data = json.dumps({"revoked": listed}, indent=1).encode()
    assert len(data) < MAX_REVOKED_BYTES
    assert len(read_revoked(data).keys) == keys


HANDSHAKE = pb.ClientMessage(
    id=1, authenticate=ROOM.authenticate(SERVER, NONCE)
).SerializeToString()
REGISTER = pb.ClientMessage(
    id=2,
    register=ROOM.register(
        ws_address="ws://10.0.0.1:9100/v1/wire",
        incarnation=7,
        metadata={"color": "blue"},
        services=[pb.ServiceFingerprint(service="demo.Chat", fingerprint="ab12")],
    ),
).SerializeToString()
REGISTERED = read_register(pb.ClientMessage.FromString(REGISTER).register)
CHANGES = st.lists(
    st.tuples(
        st.integers(0, 10_000), st.integers(0, 3), st.one_of(st.binary(max_size=4), st.just(b""))
    ),
    min_size=1,
    max_size=3,
)


def changed(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for place, cut, put in changes:
        at = place % len(data)
        data = data[:at] + put + data[at + cut :]
    return data


def fresh() -> Session:
    return Session(Challenge(server_id=SERVER, nonce=NONCE, trust=trust()), Terms(), 0.0)


@settings(max_examples=3000)
@given(CHANGES)
def test_no_changed_handshake_proves_anything_else(changes: list[tuple[int, int, bytes]]) -> None:
    data = changed(HANDSHAKE, changes)
    assume(data != HANDSHAKE)
    session = fresh()
    try:
        session.receive(messages.read(messages.parse(data)), 1, 0.0, unix=NOW)
    except SignalingError:
        assert (session.state, session.id, session.certificate) == (State.GREETED, None, None)
    else:  # what is proven is the same: a number, or a field that nobody knows, has changed
        assert (session.id, session.certificate) == (ROOM.id, certificate_of(ROOM))


@settings(max_examples=3000)
@given(CHANGES)
def test_no_changed_registration_says_anything_else(changes: list[tuple[int, int, bytes]]) -> None:
    session = fresh()
    session.receive(messages.read(messages.parse(HANDSHAKE)), 1, 0.0, unix=NOW)
    try:
        read = messages.read(messages.parse(changed(REGISTER, changes)))
        assume(isinstance(read, messages.Register))
        session.receive(read, 2, 0.0, unix=NOW)
    except SignalingError:
        assert session.registration is None
    else:
        assert session.registration == REGISTERED
