from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from actr_signaling.protocol import frames
from actr_signaling.protocol.frames import Splitter

PAYLOADS = st.one_of(st.binary(max_size=200), st.sampled_from([b"x" * 126, b"y" * 70_000]))
FRAMES = st.lists(
    st.builds(Frame, st.sampled_from([Opcode.BINARY, Opcode.TEXT, Opcode.PING]), PAYLOADS),
    max_size=5,
)


@given(FRAMES, st.lists(st.integers(1, 50), max_size=20))
def test_frames_come_out_whole_however_their_bytes_are_cut(
    sent: list[Frame], cuts: list[int]
) -> None:
    sent = [frame for frame in sent if frame.opcode != Opcode.PING or len(frame.data) < 126]
    wire = [bytes(frame.serialize(mask=True)) for frame in sent]
    data = b"".join(wire)
    splitter = Splitter(100_000)
    found: list[tuple[bool, bytes]] = []
    for cut in cuts:
        found += splitter.feed(data[:cut])
        data = data[cut:]
    found += splitter.feed(data)
    assert found == [
        (True, bytes(frame.data)) if frame.opcode is Opcode.BINARY else (False, as_sent)
        for frame, as_sent in zip(sent, wire, strict=True)
    ]


@given(st.binary(max_size=300))
def test_noise_is_handed_over_or_waits_and_is_never_lost(data: bytes) -> None:
    splitter = Splitter(1_000)
    for is_binary, piece in splitter.feed(data):
        assert is_binary or piece


@pytest.mark.parametrize(
    "head",
    [b"\x82\x05hello", b"\x82\xfe\xff\xff", b"\x82\xff" + b"\xff" * 8],
    ids=["not masked", "over the limit in two bytes", "over the limit in eight"],
)
def test_a_wrong_head_is_handed_over_at_once(head: bytes) -> None:
    assert list(Splitter(1_000).feed(head)) == [(False, head)]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_messages_to_send_are_what_the_library_would_write(size: int) -> None:
    payload = b"x" * size
    assert frames.binary(payload) == Frame(Opcode.BINARY, payload).serialize(mask=False)
    assert frames.text(payload.decode()) == Frame(Opcode.TEXT, payload).serialize(mask=False)
