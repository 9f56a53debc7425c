"""Certificates that have been believed before are believed again, and for no other reason."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actr_peer.errors import CertificateError, CertificateFault
from actr_peer.protocol.identity import ActrId, certificates
from actr_peer.protocol.identity.certificates import LEEWAY, read_certificate, verify_certificate
from actr_peer.protocol.identity.revoked import NOTHING, Revoked
from actr_peer.protocol.identity.verified import Verified
from peer_kit.vectors.identities import LIFE, Issuer, key_of

ALICE = ActrId("acme", "chat", "alice")
NOW = 1_800_000_000.0
OLD, NEW = Issuer("old", now=NOW), Issuer("new", now=NOW)
GOOD = OLD.issue(ALICE, key_of("alice")).encode()
NEXT = NEW.issue(ALICE, key_of("alice")).encode()
BAD = GOOD[:-4] + (b"AAAA" if GOOD[-4:] != b"AAAA" else b"BBBB")
KEY = read_certificate(GOOD).key
REVOKED = Revoked(keys=frozenset({KEY}))


def fault(
    verified: Verified,
    data: bytes,
    keys: Mapping[str, bytes],
    revoked: Revoked = NOTHING,
    now: float = NOW,
) -> CertificateFault | None:
    try:
        assert verified.verify(data, keys, revoked, now=now).text.encode() == data
    except CertificateError as exc:
        return exc.fault
    return None


def test_a_signature_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    payload = certificates.signed_payload

    def counted(text: str, public: bytes) -> bytes | None:
        checked.append(text)
        return payload(text, public)

    monkeypatch.setattr(certificates, "signed_payload", counted)
    verified = Verified()
    first = verified.verify(GOOD, OLD.keys, NOTHING, now=NOW)
    assert verified.verify(bytes(bytearray(GOOD)), OLD.keys, NOTHING, now=NOW) is first
    assert checked == [GOOD.decode()]


@pytest.mark.parametrize(
    ("keys", "revoked", "now", "expected"),
    [
        ({}, NOTHING, NOW, CertificateFault.UNKNOWN_KEY),
        (NEW.keys, NOTHING, NOW, CertificateFault.UNKNOWN_KEY),
        (
            dict.fromkeys(OLD.keys, next(iter(NEW.keys.values()))),
            NOTHING,
            NOW,
            CertificateFault.BAD_SIGNATURE,
        ),
        (OLD.keys, REVOKED, NOW, CertificateFault.REVOKED),
        (OLD.keys, NOTHING, NOW + LIFE + LEEWAY, CertificateFault.EXPIRED),
        (OLD.keys, NOTHING, NOW - LEEWAY - 1, CertificateFault.NOT_YET_VALID),
    ],
    ids=["no keys", "other keys", "another key of its name", "revoked", "over", "too early"],
)
def test_what_may_change_is_looked_at_each_time(
    keys: Mapping[str, bytes], revoked: Revoked, now: float, expected: CertificateFault
) -> None:
    verified = Verified()
    assert fault(verified, GOOD, OLD.keys) is None
    assert fault(verified, GOOD, keys, revoked, now) is expected
    assert fault(verified, GOOD, OLD.keys) is None


def test_a_key_that_comes_back_is_believed_again_by_its_signature() -> None:
    verified = Verified()
    both = {**OLD.keys, **NEW.keys}
    assert fault(verified, NEXT, both) is None
    assert fault(verified, NEXT, OLD.keys) is CertificateFault.UNKNOWN_KEY
    assert fault(verified, NEXT, both) is None


def test_nothing_is_remembered_of_what_is_refused() -> None:
    verified = Verified()
    for _ in range(3):
        assert fault(verified, BAD, OLD.keys) is CertificateFault.BAD_SIGNATURE
    assert len(verified) == 0


def test_the_one_that_was_not_asked_for_longest_is_forgotten_first() -> None:
    issued = [OLD.issue(ALICE, key_of(f"{n:04}")).encode() for n in range(4)]
    verified = Verified(most=sum(map(len, issued[:3])))
    for data in (*issued[:3], issued[0], issued[3]):
        assert fault(verified, data, OLD.keys) is None
    assert len(verified) == 3
    assert issued[1] not in verified._checked
    assert fault(Verified(most=10), GOOD, OLD.keys) is None, "it is believed all the same"


STEP = st.tuples(
    st.sampled_from([GOOD, NEXT, BAD, b"", b"a.b.c"]),
    st.sampled_from([OLD.keys, NEW.keys, {**OLD.keys, **NEW.keys}, {}]),
    st.sampled_from([NOTHING, REVOKED]),
    st.sampled_from([NOW, NOW + LIFE, NOW + LIFE + LEEWAY, NOW - 61]),
)


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(STEP, max_size=12), most=st.integers(0, 2000))
def test_whatever_was_asked_before_the_answer_is_that_of_a_whole_check(
    steps: list[tuple[bytes, Mapping[str, bytes], Revoked, float]], most: int
) -> None:
    verified = Verified(most)
    for data, keys, revoked, now in steps:
        whole: CertificateFault | None = None
        try:
            revoked.refuse(verify_certificate(data, keys, now=now))
        except CertificateError as exc:
            whole = exc.fault
        assert fault(verified, data, keys, revoked, now) is whole
        assert sum(map(len, verified._checked)) == verified._bytes <= most
