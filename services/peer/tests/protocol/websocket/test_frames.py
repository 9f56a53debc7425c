from __future__ import annotations

import pytest

from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.websocket.frames import (
    MAX_BEFORE_HANDSHAKE,
    FarClose,
    FramingError,
    OddFrames,
    Opcode,
    Ping,
    Whole,
)
from actr_peer.protocol.websocket.lane_frames import MAX_FRAME_BYTES, MAX_PIECES
from actr_peer.protocol.wire.close_codes import is_sendable


def take(
    frames: OddFrames, opcode: int, payload: bytes = b"", *, last: bool = True
) -> Whole | Ping | FarClose | None:
    return frames.take(opcode, payload, is_last=last, is_reserved=False)


def test_a_message_in_pieces_is_joined_with_control_frames_between() -> None:
    frames = OddFrames()
    assert take(frames, Opcode.BINARY, b"one ", last=False) is None
    assert frames.is_inside
    assert take(frames, Opcode.PING, b"p") == Ping(b"p")
    assert take(frames, Opcode.CONTINUATION, b"", last=False) is None
    assert take(frames, Opcode.PONG) is None
    assert take(frames, Opcode.CONTINUATION, b"two") == Whole(b"one two")
    assert not frames.is_inside
    assert take(frames, Opcode.CLOSE) == FarClose(0, b"")


@pytest.mark.parametrize("opcode", [Opcode.CONTINUATION, Opcode.BINARY])
def test_a_piece_that_does_not_fit_breaks_the_standard(opcode: Opcode) -> None:
    frames = OddFrames()
    if opcode is Opcode.BINARY:
        take(frames, Opcode.BINARY, b"first", last=False)
    with pytest.raises(FramingError):
        take(frames, opcode, b"x")


@pytest.mark.parametrize("opcode", Opcode)
def test_a_reserved_bit_breaks_the_standard(opcode: Opcode) -> None:
    with pytest.raises(FramingError, match="reserved"):
        OddFrames().take(opcode, b"", is_last=True, is_reserved=True)


def test_text_is_no_part_of_a_wire() -> None:
    with pytest.raises(RemoteProtocolError, match="text"):
        take(OddFrames(), Opcode.TEXT, b"hello")


def test_pieces_are_bounded_in_bytes_and_number() -> None:
    frames = OddFrames()
    take(frames, Opcode.BINARY, bytes(MAX_FRAME_BYTES), last=False)
    with pytest.raises(LimitError, match="bytes"):
        take(frames, Opcode.CONTINUATION, b"x", last=False)
    frames = OddFrames()
    take(frames, Opcode.BINARY, last=False)
    for _ in range(MAX_PIECES - 1):
        take(frames, Opcode.CONTINUATION, last=False)
    with pytest.raises(LimitError, match="pieces"):
        take(frames, Opcode.CONTINUATION, last=False)


def test_frames_before_the_handshake_are_bounded() -> None:
    frames = OddFrames()
    for _ in range(MAX_BEFORE_HANDSHAKE):
        frames.count()
    with pytest.raises(LimitError):
        frames.count()


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1011, 1014, 3000, 4000, 4999])
def test_a_close_with_a_code_that_may_be_sent_is_taken(code: int) -> None:
    assert is_sendable(code)
    close = FarClose(code, b"why")
    assert take(OddFrames(), Opcode.CLOSE, code.to_bytes(2, "big") + b"why") == close


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535])
def test_a_close_with_any_other_code_breaks_the_standard(code: int) -> None:
    with pytest.raises(FramingError, match=str(code)):
        take(OddFrames(), Opcode.CLOSE, code.to_bytes(2, "big"))


def test_a_message_in_one_frame_is_whole() -> None:
    assert take(OddFrames(), Opcode.BINARY, b"all of it") == Whole(b"all of it")
