"""Whatever a stranger sends as a certificate is refused in one way, and no two texts are one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actr_signaling.errors import CertificateError, CertificateFault
from actr_signaling.protocol.identity.certificates import make_certificate, verify_certificate
from actr_signaling.protocol.identity.keys import decode, encode, key_id
from signaling_kit.vectors import vectors

TAKEN = vectors("certificates", "accepted")[0]
GOOD = TAKEN["certificate"].encode("ascii")
ISSUER = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(TAKEN["issuer_seed"]))
PUBLIC = ISSUER.public_key().public_bytes_raw()
KEYS = {key_id(PUBLIC): PUBLIC}
NOW = TAKEN["now"]
HEADER, PAYLOAD, SIGNATURE = map(decode, TAKEN["certificate"].split("."))


def is_taken(data: bytes, now: float = NOW) -> bool:
    """Whether it is; anything that is raised but the one error fails the test."""
    try:
        verify_certificate(data, KEYS, now=now)
    except CertificateError:
        return False
    return True


def test_the_one_that_the_others_are_made_from_is_taken() -> None:
    assert is_taken(GOOD)


@settings(max_examples=2000)
@given(
    at=st.integers(0, len(GOOD) - 1),
    cut=st.integers(0, 3),
    put=st.one_of(st.binary(max_size=4), st.sampled_from([b".", b"=", b"_", b"A", b"\n"])),
)
@example(at=len(GOOD) - 1, cut=1, put=b"B")
def test_no_changed_text_is_taken(at: int, cut: int, put: bytes) -> None:
    changed = GOOD[:at] + put + GOOD[at + cut :]
    assert changed == GOOD or not is_taken(changed)


@settings(max_examples=500)
@given(data=st.one_of(st.binary(max_size=200), st.text('eyJ0.=-_A{["', max_size=200)))
def test_no_bytes_raise_anything_but_the_one_error(data: bytes | str) -> None:
    assert not is_taken(data if isinstance(data, bytes) else data.encode())


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = [*json.loads(PAYLOAD), "alg", "typ", "kid", "jwk", "crit"]


@settings(max_examples=2000)
@given(said=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4), of_header=st.booleans())
def test_what_an_issuer_signs_and_is_out_of_form_raises_nothing_else(
    said: dict[str, Any], of_header: bool
) -> None:
    header, payload = json.loads(HEADER), json.loads(PAYLOAD)
    (header if of_header else payload).update(said)
    text = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(payload).encode())}"
    is_taken(f"{text}.{encode(ISSUER.sign(text.encode()))}".encode())


@settings(max_examples=200)
@given(now=st.integers(NOW - 2000, NOW + 2000), leeway=st.integers(0, 300))
def test_it_is_taken_from_its_begin_to_its_end_and_the_leeway_beside(now: int, leeway: int) -> None:
    begins, ends = TAKEN["not_before"] - leeway, TAKEN["expires_at"] + leeway
    if begins <= now < ends:
        verify_certificate(GOOD, KEYS, now=now, leeway=leeway)
        return
    with pytest.raises(CertificateError) as refused:
        verify_certificate(GOOD, KEYS, now=now, leeway=leeway)
    late = now >= ends
    expected = CertificateFault.EXPIRED if late else CertificateFault.NOT_YET_VALID
    assert refused.value.fault is expected


@pytest.mark.parametrize(
    ("now", "named"),
    [(NOW - 3600, f"begins at {NOW} .* says {NOW - 3600} .* 3600 s wrong"),
     (NOW + 3600, f"ended at {NOW + 900} .* says {NOW + 3600} ")],
    ids=["too early", "too late"],
)  # fmt: skip
def test_both_clocks_are_named(now: int, named: str) -> None:
    with pytest.raises(CertificateError, match=named):
        verify_certificate(GOOD, KEYS, now=now)


def test_a_wrong_issuer_key_is_told_with_those_that_are_known() -> None:
    with pytest.raises(CertificateError, match=r"not among those known here \(other, some\)"):
        verify_certificate(GOOD, {"some": PUBLIC, "other": PUBLIC}, now=NOW)


def test_what_it_shows_of_itself_is_not_its_text() -> None:
    assert TAKEN["certificate"] not in repr(verify_certificate(GOOD, KEYS, now=NOW))


MAKE: dict[str, Any] = {
    "issuer": "issuer.example",
    "subject": "acme:room@*",
    "realm": "default",
    "public": bytes.fromhex(TAKEN["key"]),
    "claims": {"role": ["operator", "reader"]},
    "now": NOW,
    "serial": "c1",
}


def test_what_is_made_is_taken_for_a_quarter_of_an_hour() -> None:
    made = make_certificate(ISSUER, **MAKE)
    assert verify_certificate(made.text.encode(), KEYS, now=NOW) == made
    assert made.expires_at == NOW + 900
    assert made.claims == {"role": ("operator", "reader")}


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "acme:room"},
        {"realm": "*"},
        {"public": b"\1" + bytes(31)},
        {"life": 3601},
        {"life": 0},
        {"claims": {"role": ""}},
        {"serial": ""},
        {"issuer": "i" * 257},
        {"claims": {f"{n}": ["v" * 256] * 16 for n in range(16)}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_nothing_is_made_that_would_be_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(CertificateError):
        make_certificate(ISSUER, **{**MAKE, **wrong})
