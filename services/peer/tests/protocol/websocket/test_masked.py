"""Long masked frames: written as the standard says, and told apart however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.utils import apply_mask

from actr_peer.protocol.websocket.lane_frames import MAX_FRAME_BYTES
from actr_peer.protocol.websocket.masked import LONG_BYTES, Long, Sorter, head, turned

KEY = b"\x01\x02\x03\x04"


def framed(size: int, *, first: int = 0x82, mask: int = 0x80) -> bytes:
    """A frame of zeros, with any first byte, and with the mask's bit or not."""
    if size < 126:
        length = bytes((mask | size,))
    elif size < 1 << 16:
        length = bytes((mask | 126,)) + size.to_bytes(2, "big")
    else:
        length = bytes((mask | 127,)) + size.to_bytes(8, "big")
    return bytes((first,)) + length + KEY + bytes(size)


@pytest.mark.parametrize("size", [LONG_BYTES + 1, (1 << 16) - 1, 1 << 16, MAX_FRAME_BYTES])
def test_a_head_is_that_of_another_library(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_bytes", lambda count: KEY)
    payload = bytes(range(251)) * (size // 251 + 1)
    whole = Frame(Opcode.BINARY, payload[:size]).serialize(mask=True)
    assert head(size, KEY) + apply_mask(payload[:size], KEY) == whole


@given(st.binary(max_size=40), st.integers(0, 50))
def test_a_turned_key_masks_the_rest_of_a_payload(payload: bytes, offset: int) -> None:
    masked = apply_mask(payload, KEY)
    assert apply_mask(payload[offset:], turned(KEY, offset)) == masked[offset:]


FRAMES = st.builds(
    framed,
    st.sampled_from(
        [0, 5, 125, 126, LONG_BYTES, LONG_BYTES + 1, 40_000, 70_000, MAX_FRAME_BYTES + 1]
    ),
    first=st.sampled_from([0x82, 0x82, 0x82, 0x02, 0x80, 0x89, 0xC2]),
)


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(1, 90_000), min_size=1))
def test_long_frames_are_told_from_the_rest_wherever_the_stream_is_cut(
    stream: list[bytes], cuts: list[int]
) -> None:
    data = bytearray(b"".join(stream))
    sorter = Sorter()
    for_library, found, expected = bytearray(), [], []
    cuts = [*cuts, 90_000]  # so that no stream is cut into more than some hundred pieces
    at = end = 0
    for turn in range(len(data) + 1):
        until, long = sorter.sort(data, at, end)
        for_library += data[at:until]
        at = until
        if long is not None:
            assert long.key == KEY
            found.append(long.end - long.start)
            at = long.end
        elif end == len(data):
            break
        else:
            assert end - at < MAX_FRAME_BYTES + 14
            end = min(len(data), end + cuts[turn % len(cuts)])
    rest = b""
    for one in stream:
        size = len(one) - {True: 14, False: 8}[one[1] == 0xFF]
        if one[0] == 0x82 and LONG_BYTES < size <= MAX_FRAME_BYTES:
            expected.append(size)
        else:
            rest += one
    assert (bytes(for_library + data[at:]), found) == (rest, expected)


def test_a_frame_without_a_mask_is_the_librarys_to_refuse() -> None:
    data = bytearray(framed(9000, mask=0))
    assert Sorter().sort(data, 0, len(data)) == (len(data), None)


def test_a_long_frame_is_shown_when_all_of_it_is_there() -> None:
    data = bytearray(framed(9000))
    sorter = Sorter()
    assert sorter.sort(data, 0, len(data) - 1) == (0, None)
    assert sorter.sort(data, 0, len(data)) == (0, Long(KEY, 8, 9008))


def test_a_turned_key_begins_in_its_middle() -> None:
    assert [turned(KEY, offset) for offset in (0, 5, 8)] == [KEY, KEY[1:] + KEY[:1], KEY]


def test_short_frames_are_the_librarys_also_where_their_heads_are_cut() -> None:
    data = bytearray(framed(5) + framed(300) + framed(9000))
    sorter = Sorter()
    assert sorter.sort(data, 0, 1) == (0, None), "one byte says nothing"
    assert sorter.sort(data, 0, 13) == (11, None), "nor do two of four"
    assert sorter.sort(data, 11, 100) == (100, None)
    until, long = sorter.sort(data, 100, len(data))
    assert (until, long) == (319, Long(KEY, 327, 9327))
