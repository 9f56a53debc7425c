from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_signaling.issuer.protocol import requests
from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.protocol.identity.keys import encode

KEY, NONCE, PROOF, MAC = (
    encode(b"k" * 32),
    encode(b"n" * 32),
    encode(b"p" * 64),
    encode(bytes(32)),
)
RENEW = {"key": KEY, "nonce": NONCE, "proof": PROOF}
ENROL = {**RENEW, "id": "acme:room@2", "realm": "default", "token": "actr-join-abc"}
ROTATE = {**RENEW, "new_key": KEY, "new_proof": PROOF}
READERS = {"enrol": requests.enrol, "renew": requests.renew, "rotate": requests.rotate}


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


def test_a_request_to_enrol_by_a_token_or_by_the_secret() -> None:
    by_token = requests.enrol(json.dumps(ENROL).encode())
    assert (str(by_token.subject), by_token.realm, by_token.key, by_token.mac) == (
        "acme:room@2",
        "default",
        b"k" * 32,
        None,
    )
    by_mac = requests.enrol(json.dumps({**without(ENROL, "token"), "mac": MAC}).encode())
    assert (by_mac.token, by_mac.mac) == (None, bytes(32))


def test_requests_by_the_key_itself() -> None:
    assert requests.renew(json.dumps(RENEW).encode()).proof == b"p" * 64
    assert requests.rotate(json.dumps(ROTATE).encode()).new_key == b"k" * 32


@pytest.mark.parametrize(
    "body",
    [
        without(ENROL, "token"),
        {**ENROL, "mac": MAC},
        without(ENROL, "key"),
        {**ENROL, "more": "x"},
        {**ENROL, "id": "acme:room@2:default"},
        {**ENROL, "realm": "*"},
        {**ENROL, "token": "actr-join-" + "x" * 129},
        {**ENROL, "token": "abc"},
        {**ENROL, "token": "actr-join-a\n"},
        {**ENROL, "key": KEY + "="},
        {**ENROL, "key": KEY[:-1]},
        {**ENROL, "key": encode(bytes(32))},
        {**ENROL, "key": "ä" * 43},
        {**ENROL, "nonce": encode(b"n" * 31)},
        {**ENROL, "proof": encode(b"p" * 63)},
        {**ENROL, "proof": 5},
        {**without(ENROL, "token"), "mac": "x"},
        [],
        "x" * 5000,
    ],
    ids=range(19),
)
def test_a_request_out_of_bounds_is_malformed(body: Any) -> None:
    with pytest.raises(RefusalError) as refused:
        requests.enrol(json.dumps(body).encode())
    assert refused.value.cause is Cause.MALFORMED


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 4000, b'{"a": NaN', b"1"])
def test_a_body_that_is_no_object_is_malformed(body: bytes) -> None:
    for read in READERS.values():
        with pytest.raises(RefusalError) as refused:
            read(body)
        assert refused.value.cause is Cause.MALFORMED


@given(st.sampled_from(sorted(READERS)), st.binary(max_size=200))
def test_no_bytes_end_in_anything_but_a_refusal(name: str, body: bytes) -> None:
    with pytest.raises(RefusalError):
        READERS[name](body)


FIELDS = st.sampled_from([*ENROL, "mac", "new_key", "new_proof", "other"])
VALUES = st.one_of(st.text(max_size=100), st.sampled_from([*ENROL.values(), MAC]), st.integers())


@given(st.sampled_from(sorted(READERS)), st.dictionaries(FIELDS, VALUES))
def test_no_fields_end_in_anything_but_a_request_or_a_refusal(
    name: str, body: dict[str, Any]
) -> None:
    with suppress(RefusalError):
        READERS[name](json.dumps(body).encode())
