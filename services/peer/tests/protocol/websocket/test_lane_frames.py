from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.websocket.lane_frames import (
    HANDSHAKE,
    HEADER_BYTES,
    MAX_DATA_BYTES,
    MAX_FRAME_BYTES,
    Pieces,
    decode,
    encode,
)


def test_a_frame_is_type_length_and_data() -> None:
    assert encode(1, b"hi") == bytes.fromhex("01 00000002 6869")
    assert encode(HANDSHAKE, b"") == bytes.fromhex("ff 00000000")


@given(st.integers(0, 255), st.binary(max_size=2000))
def test_what_is_encoded_is_decoded(frame_type: int, data: bytes) -> None:
    assert decode(encode(frame_type, data)) == (frame_type, data)


def test_the_longest_data_fits_and_one_byte_more_does_not() -> None:
    longest = bytes(MAX_DATA_BYTES)
    frame = encode(2, longest)
    assert len(frame) == MAX_FRAME_BYTES
    assert decode(frame) == (2, longest)
    with pytest.raises(LimitError):
        encode(2, longest + b"!")
    with pytest.raises(LimitError):
        decode(frame + b"!")


@pytest.mark.parametrize("size", range(HEADER_BYTES))
def test_less_than_a_header_is_a_violation(size: int) -> None:
    with pytest.raises(RemoteProtocolError, match="shorter"):
        decode(bytes(size))


@pytest.mark.parametrize("length", [0, 3, 5, 0xFFFF_FFFF])
def test_a_length_that_is_not_the_data_s_is_a_violation(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match="says"):
        decode(b"\0" + length.to_bytes(4, "big") + b"four")


@given(st.binary(max_size=3000))
def test_any_bytes_are_a_frame_or_a_typed_error(data: bytes) -> None:
    try:
        frame_type, body = decode(data)
    except RemoteProtocolError:
        return
    assert encode(frame_type, body) == data


@given(st.binary(max_size=50), st.lists(st.integers(0, 55), max_size=5))
def test_a_frame_in_pieces_is_the_same_frame(data: bytes, cuts: list[int]) -> None:
    frame = encode(0, data)
    pieces = Pieces()
    ends = [0, *sorted(min(cut, len(frame)) for cut in cuts), len(frame)]
    for begin, end in pairwise(ends):
        pieces.feed(frame[begin:end])
    assert decode(pieces.join()) == (0, data)


def test_pieces_hold_one_frame_at_most() -> None:
    pieces = Pieces()
    pieces.feed(bytes(MAX_FRAME_BYTES))
    pieces.feed(b"")
    with pytest.raises(LimitError):
        pieces.feed(b"!")
