from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.nonces import NONCE_BYTES, Nonces


def make(**options: float) -> Nonces:
    return Nonces(b"s" * 32, **options)  # type: ignore[arg-type]


def refused(nonces: Nonces, nonce: bytes, now: float) -> str:
    with pytest.raises(RefusalError) as caught:
        nonces.take(nonce, now)
    return f"{caught.value.cause}: {caught.value.message}"


def test_a_nonce_is_good_once() -> None:
    nonces = make()
    nonce = nonces.make(b"r" * 8, 0)
    assert len(nonce) == NONCE_BYTES
    nonces.take(nonce, 1)
    assert "used before" in refused(nonces, nonce, 1)


def test_a_nonce_is_remembered_as_long_as_it_would_be_good() -> None:
    nonces = make(life=60)
    nonce = nonces.make(b"r" * 8, 0)
    nonces.take(nonce, 59.9)
    assert "used before" in refused(nonces, nonce, 59.99)
    assert "too old" in refused(nonces, nonce, 60)
    assert "too old" in refused(nonces, nonce, 500)


@pytest.mark.parametrize("size", [0, 8, 31, 33, 64])
def test_a_nonce_of_another_length_is_none(size: int) -> None:
    assert "not of this issuer" in refused(make(), b"x" * size, 0)


def test_a_nonce_of_another_issuer_or_before_a_restart_is_none() -> None:
    nonce = Nonces(b"t" * 32).make(b"r" * 8, 0)
    assert "not of this issuer" in refused(make(), nonce, 0)


@given(st.integers(0, NONCE_BYTES * 8 - 1))
def test_no_bit_of_a_nonce_may_change(bit: int) -> None:
    nonces = make()
    nonce = int.from_bytes(nonces.make(b"r" * 8, 0), "big") ^ (1 << bit)
    assert refused(nonces, nonce.to_bytes(NONCE_BYTES, "big"), 0).startswith(Cause.NONCE)


def test_what_is_remembered_has_a_bound_and_is_forgotten_in_time() -> None:
    nonces = make(max_used=2, life=60)
    for number in range(2):
        nonces.take(nonces.make(bytes(7) + bytes([number]), 0), number)
    with pytest.raises(RefusalError) as full:
        nonces.take(nonces.make(b"r" * 8, 2), 2)
    assert (full.value.cause, full.value.retry_after) == (Cause.FULL, 60)
    nonces.take(nonces.make(b"r" * 8, 60), 60)
