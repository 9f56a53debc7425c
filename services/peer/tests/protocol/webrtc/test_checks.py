from __future__ import annotations

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.webrtc.checks import (
    ANSWER,
    HEAD_BYTES,
    REQUEST,
    TRANSACTION,
    Known,
    is_sealed,
    sealed,
)

KEY = b"a password of 22 chars"
ADDRESS = ("192.0.2.7", 40007)
TRANSACTIONS = st.binary(min_size=12, max_size=12)


def library_request(transaction: bytes, *, key: bytes = KEY) -> bytes:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction)
    request.attributes["USERNAME"] = "near:farside"
    request.attributes["PRIORITY"] = 1845501695
    request.attributes["ICE-CONTROLLING"] = 2**63 + 5
    request.add_message_integrity(key)
    return bytes(request)


@given(TRANSACTIONS)
def test_a_request_is_sealed_as_the_library_seals_it(transaction: bytes) -> None:
    wanted = library_request(transaction)
    assert sealed(REQUEST, transaction, wanted[HEAD_BYTES:-32], KEY) == wanted
    assert is_sealed(wanted, KEY)
    assert not is_sealed(wanted, b"another")


@given(TRANSACTIONS, TRANSACTIONS)
def test_a_request_as_the_one_before_is_answered_as_the_library_answers(
    first: bytes, second: bytes
) -> None:
    known = Known(library_request(first), ADDRESS, KEY)
    answer = known.answer(library_request(second))
    assert answer is not None
    wanted = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, second)
    wanted.attributes["XOR-MAPPED-ADDRESS"] = ADDRESS
    wanted.add_message_integrity(KEY)
    assert answer == bytes(wanted)
    assert (answer[:2], answer[TRANSACTION]) == (ANSWER, second)


@pytest.mark.parametrize("at", [3, 4, 8, 30, -30, -10, -1])
def test_each_part_of_a_request_counts(at: int) -> None:
    request = bytearray(library_request(bytes(12)))
    known = Known(bytes(request), ADDRESS, KEY)
    assert known.answer(bytes(request)) is not None
    request[at] ^= 1
    assert known.answer(bytes(request)) is None
    assert not is_sealed(bytes(request), KEY)


@given(st.data())
def test_a_request_of_which_one_byte_is_another_is_not_answered(data: st.DataObject) -> None:
    request = bytearray(library_request(bytes(12)))
    known = Known(bytes(request), ADDRESS, KEY)
    at = data.draw(st.integers(0, len(request) - 1))
    request[at] ^= data.draw(st.integers(1, 255))
    assert known.answer(bytes(request)) is None
    assert not is_sealed(bytes(request), KEY)


def test_a_request_of_who_has_another_password_is_not_answered() -> None:
    known = Known(library_request(bytes(12)), ADDRESS, KEY)
    assert known.answer(library_request(bytes(12), key=b"another")) is None


def test_a_byte_that_only_the_checksum_covers_counts() -> None:
    right = sealed(REQUEST, bytes(12), b"", KEY)
    other = bytearray(right[:-8])
    other[-24] ^= 1  # the type of what should be the proof
    whole = bytes(other) + stun.pack("!HHI", 0x8028, 4, stun.message_fingerprint(bytes(other)))
    assert not is_sealed(whole, KEY)


@pytest.mark.parametrize("cut", [0, 1, 19, 20, 51])
def test_what_is_short_is_not_sealed(cut: int) -> None:
    assert not is_sealed(sealed(REQUEST, bytes(12), b"", KEY)[:cut], KEY)
