from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as LibraryFrame
from websockets.frames import Opcode

from actr_signaling.protocol.websocket import frames
from actr_signaling.protocol.websocket.frames import (
    MAX_FRAGMENTS,
    Frame,
    FrameError,
    Kind,
    Splitter,
)

PAYLOADS = st.one_of(st.binary(max_size=200), st.sampled_from([b"x" * 126, b"y" * 70_000]))
KINDS = {
    Opcode.BINARY: Kind.BINARY,
    Opcode.TEXT: Kind.TEXT,
    Opcode.PING: Kind.PING,
    Opcode.PONG: Kind.PONG,
}
SENT = st.lists(st.tuples(st.sampled_from(list(KINDS)), PAYLOADS), max_size=5)
EMPTY_MASK = b"\0\0\0\0"


def masked(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    return LibraryFrame(opcode, data, fin=fin).serialize(mask=True)


def drain(splitter: Splitter) -> list[Frame]:
    return list(iter(splitter.next, None))


def refusal(data: bytes, max_bytes: int = 1_000) -> int:
    splitter = Splitter(max_bytes)
    splitter.feed(data)
    with pytest.raises(FrameError) as refused:
        drain(splitter)
    return refused.value.code


@given(SENT, st.lists(st.integers(1, 50), max_size=20))
def test_frames_come_out_whole_however_their_bytes_are_cut(
    sent: list[tuple[Opcode, bytes]], cuts: list[int]
) -> None:
    sent = [(op, data if op in (Opcode.BINARY, Opcode.TEXT) else data[:125]) for op, data in sent]
    wire = b"".join(masked(op, data) for op, data in sent)
    splitter = Splitter(100_000)
    found: list[Frame] = []
    for cut in cuts:
        splitter.feed(wire[:cut])
        found += drain(splitter)
        wire = wire[cut:]
    splitter.feed(wire)
    found += drain(splitter)
    assert found == [Frame(KINDS[op], data, len(data)) for op, data in sent]
    assert len(splitter) == 0


@given(st.binary(max_size=300))
def test_noise_is_refused_or_waits(data: bytes) -> None:
    splitter = Splitter(1_000)
    splitter.feed(data)
    with contextlib.suppress(FrameError):
        drain(splitter)


@given(st.binary(max_size=300), st.integers(1, 20))
def test_a_message_in_fragments_comes_as_pieces_and_then_whole(data: bytes, size: int) -> None:
    pieces = [data[at : at + size] for at in range(0, max(1, len(data)), size)][:MAX_FRAGMENTS]
    splitter = Splitter(1_000)
    for place, piece in enumerate(pieces):
        opcode = Opcode.CONT if place else Opcode.BINARY
        splitter.feed(masked(opcode, piece, fin=place == len(pieces) - 1))
        splitter.feed(masked(Opcode.PING, b"between"))
    found = [frame for frame in drain(splitter) if frame.kind is not Kind.PING]
    assert [frame.kind for frame in found] == [Kind.PIECE] * (len(pieces) - 1) + [Kind.BINARY]
    assert [frame.size for frame in found] == [len(piece) for piece in pieces]
    assert found[-1].data == b"".join(pieces)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x82\x05hello", 1002),
        (b"\xc2\x80" + EMPTY_MASK, 1002),
        (b"\xa2\x80" + EMPTY_MASK, 1002),
        (b"\x83\x80" + EMPTY_MASK, 1002),
        (b"\x8b\x80" + EMPTY_MASK, 1002),
        (masked(Opcode.CONT, b"x"), 1002),
        (masked(Opcode.BINARY, fin=False) + masked(Opcode.BINARY), 1002),
        (masked(Opcode.TEXT, fin=False) + masked(Opcode.TEXT), 1002),
        (b"\x89\xfe", 1002),
        (b"\x09\x80" + EMPTY_MASK, 1002),
        (b"\x82\xfe\x00\x05", 1002),
        (b"\x82\xff" + (126).to_bytes(8, "big"), 1002),
        (b"\x82\xfe\xff\xff", 4413),
        (b"\x82\xff\x7f" + b"\xff" * 7, 4413),
        (b"\x82\xff" + b"\xff" * 8, 1002),
        (masked(Opcode.BINARY, b"x" * 600, fin=False) + masked(Opcode.CONT, b"y" * 600), 4413),
        (masked(Opcode.BINARY, fin=False) + masked(Opcode.CONT, fin=False) * MAX_FRAGMENTS, 4413),
        (masked(Opcode.CLOSE, b"\x03"), 1002),
        (masked(Opcode.CLOSE, (999).to_bytes(2, "big")), 1002),
        (masked(Opcode.CLOSE, (1005).to_bytes(2, "big")), 1002),
        (masked(Opcode.CLOSE, (1016).to_bytes(2, "big")), 1002),
        (masked(Opcode.CLOSE, (5000).to_bytes(2, "big")), 1002),
        (masked(Opcode.CLOSE, (1000).to_bytes(2, "big") + b"\xff"), 1007),
    ],
    ids=[
        "not masked",
        "the first reserved bit",
        "the second reserved bit",
        "an unknown opcode for data",
        "an unknown opcode for control",
        "a continuation of nothing",
        "a message within a message",
        "a text within a text",
        "a ping over 125 bytes, by its head alone",
        "a ping in fragments",
        "two bytes for a length of five",
        "eight bytes for a length of 126",
        "over the limit in two bytes, by its head alone",
        "over the limit in eight",
        "eight bytes of which the first bit is set",
        "over the limit in two fragments",
        "too many fragments",
        "half a close code",
        "a close code below 1000",
        "a close code that is never sent",
        "a close code that nobody has registered",
        "a close code over 4999",
        "a close reason that is not UTF-8",
    ],
)
def test_what_the_standard_forbids_ends_the_connection(data: bytes, code: int) -> None:
    assert refusal(data) == code


@pytest.mark.parametrize("code", [None, 1000, 1003, 1007, 1014, 3000, 4999])
def test_close_frames_with_codes_that_may_be_sent_are_taken(code: int | None) -> None:
    payload = b"" if code is None else code.to_bytes(2, "big") + "adieu é".encode()
    splitter = Splitter(1_000)
    splitter.feed(masked(Opcode.CLOSE, payload))
    assert drain(splitter) == [Frame(Kind.CLOSE, payload, len(payload))]


def test_text_that_is_not_utf8_is_refused_as_the_standard_says() -> None:
    assert frames.read_text("é".encode()) == "é"
    with pytest.raises(FrameError) as refused:
        frames.read_text(b"\xff")
    assert refused.value.code == 1007


class Counted(bytearray):
    """A buffer that counts what is copied out of it."""

    copied = 0

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            self.copied += len(range(*index.indices(len(self))))
        return super().__getitem__(index)


def test_a_message_in_single_bytes_is_copied_no_more_often_than_in_one() -> None:
    splitter = Splitter(100_000)
    data = masked(Opcode.BINARY, b"x" * 60_000)
    for place in range(3):
        splitter.feed(data[place : place + 1])
        assert splitter.next() is None
    counted = splitter._buffer = Counted(splitter._buffer)
    for place in range(3, len(data) - 1):
        splitter.feed(data[place : place + 1])
        assert splitter.whole_binary() is None
        assert splitter.next() is None
    assert splitter._buffer is counted
    splitter.feed(data[-1:])
    assert drain(splitter) == [Frame(Kind.BINARY, b"x" * 60_000, 60_000)]
    assert counted.copied < 4 * len(data)


@given(SENT, st.lists(st.integers(1, 50), max_size=20))
def test_whole_binary_messages_are_those_that_are_among_all_frames(
    sent: list[tuple[Opcode, bytes]], cuts: list[int]
) -> None:
    sent = [(op, data if op in (Opcode.BINARY, Opcode.TEXT) else data[:125]) for op, data in sent]
    wire = b"".join(masked(op, data) for op, data in sent)
    splitter, found = Splitter(100_000), []
    for cut in [*cuts, len(wire)]:
        splitter.feed(wire[:cut])
        wire = wire[cut:]
        while True:
            data = splitter.whole_binary()
            frame = splitter.next() if data is None else Frame(Kind.BINARY, data, len(data))
            if frame is None:
                break
            assert (data is None) is (frame.kind is not Kind.BINARY or frame.size > 65_535)
            found.append(frame)
    assert found == [Frame(KINDS[op], data, len(data)) for op, data in sent]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1_000])
def test_a_whole_binary_message_is_taken_once_its_last_byte_is_there(size: int) -> None:
    payload = bytes(range(256)) * 4
    data = masked(Opcode.BINARY, payload[:size])
    for end in range(len(data)):
        splitter = Splitter(1_000)
        splitter.feed(data[:end])
        assert splitter.whole_binary() is None
        splitter.feed(data[end:] + b"\x82")
        assert splitter.whole_binary() == payload[:size]
        assert len(splitter) == 1
        splitter.feed(data[1:])  # what waits, and more of it than waits
        assert splitter.whole_binary() == payload[:size]
        assert len(splitter) == 0


@pytest.mark.parametrize(
    "data",
    [
        masked(Opcode.TEXT, b"text"),
        masked(Opcode.PING, b"ping"),
        masked(Opcode.BINARY, b"a part", fin=False),
        LibraryFrame(Opcode.BINARY, b"plain").serialize(mask=False) + bytes(500),
        LibraryFrame(Opcode.BINARY, b"x" * 200).serialize(mask=False) + bytes(500),
        b"\xc2\x81" + EMPTY_MASK + b"x",
        b"\x82\xfe\x00\x7d" + EMPTY_MASK + b"x" * 125,
        b"\x82\xff" + (126).to_bytes(8, "big") + EMPTY_MASK + b"x" * 126,
        masked(Opcode.BINARY, b"x" * 1_001),
    ],
    ids=[
        "a text",
        "a ping",
        "a part",
        "not masked",
        "not masked, and longer",
        "a reserved bit",
        "two bytes for a length that needs one",
        "eight bytes for a length",
        "over the limit",
    ],
)
def test_what_is_no_whole_binary_message_is_for_next_to_judge(data: bytes) -> None:
    splitter = Splitter(1_000)
    splitter.feed(data)
    assert splitter.whole_binary() is None
    assert len(splitter) == len(data)


def test_within_a_fragmented_message_no_whole_one_is_taken() -> None:
    splitter = Splitter(1_000)
    splitter.feed(masked(Opcode.BINARY, b"a", fin=False) + masked(Opcode.BINARY, b"b"))
    assert splitter.next() == Frame(Kind.PIECE, b"", 1)
    assert splitter.whole_binary() is None
    with pytest.raises(FrameError, match="within a fragmented one"):
        splitter.next()


def test_a_message_in_two_parts_is_written_as_one() -> None:
    assert frames.binary_of(b"a", b"b" * 200) == frames.binary(b"a" + b"b" * 200)


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_messages_to_send_are_what_the_library_would_write(size: int) -> None:
    payload = b"x" * size
    assert frames.binary(payload) == LibraryFrame(Opcode.BINARY, payload).serialize(mask=False)
    assert frames.text(payload.decode()) == LibraryFrame(Opcode.TEXT, payload).serialize(mask=False)
    assert frames.whole(payload) == frames.binary(payload)
    assert frames.whole(payload.decode()) == frames.text(payload.decode())


def test_a_long_close_reason_is_cut_where_a_character_ends() -> None:
    frame = frames.close(4400, "é" * 100)
    assert len(frame) <= 2 + 125
    assert frame[4:].decode() == "é" * 61


def test_a_message_comes_when_its_last_byte_is_there() -> None:
    data = masked(Opcode.TEXT, b"hel", fin=False) + masked(Opcode.CONT, b"lo")
    splitter = Splitter(1_000)
    assert list(splitter.feed(data[:-1])) == [Frame(Kind.PIECE, b"", 3)]
    assert len(splitter) == len(masked(Opcode.CONT, b"lo")) - 1
    assert list(splitter.feed(data[-1:])) == [Frame(Kind.TEXT, b"hello", 2)]
    assert len(splitter) == 0


@pytest.mark.parametrize(
    ("data", "opcode", "payload"),
    [
        (frames.ping(b"p"), Opcode.PING, b"p"),
        (frames.pong(b"q"), Opcode.PONG, b"q"),
        (frames.close(None), Opcode.CLOSE, b""),
        (frames.close(1000, "x" * 200), Opcode.CLOSE, b"\x03\xe8" + b"x" * 123),
        (frames.close(1000, "é" * 100), Opcode.CLOSE, b"\x03\xe8" + ("é" * 61).encode()),
    ],
    ids=["ping", "pong", "close without a code", "a long reason", "a letter of two bytes cut"],
)
def test_a_control_frame_is_what_the_library_would_write(
    data: bytes, opcode: Opcode, payload: bytes
) -> None:
    assert data == LibraryFrame(opcode, payload).serialize(mask=False)
