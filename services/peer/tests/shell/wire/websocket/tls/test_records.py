"""Records of TLS, with the two ends of a handshake in memory."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actr_peer.wire.websocket.tls.contexts import dialler_context, listener_context
from actr_peer.wire.websocket.tls.records import RECORD_BYTES, Records
from peer_kit.fakes import BOB
from peer_kit.vectors.identities import Issuer

LISTENER = listener_context(Issuer().certified(BOB).identity)
OVERHEAD = 22
"""Bytes of a record besides what it says."""


class Ends:
    """A dialler that writes and a listener that reads, their handshake done."""

    def __init__(self) -> None:
        self.sent, self.come = ssl.MemoryBIO(), ssl.MemoryBIO()
        back, forth = ssl.MemoryBIO(), ssl.MemoryBIO()
        dialler = dialler_context().wrap_bio(back, self.sent)
        listener = LISTENER.wrap_bio(self.come, forth, server_side=True)
        for side in (dialler, listener, dialler, listener):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
            self.come.write(self.sent.read())
            back.write(forth.read())
        self.writer = Records(dialler, back, self.sent)
        self.reader = Records(listener, self.come, forth)

    def read(self, room: int) -> bytes:
        """What there is, read into so much room each time."""
        heard, buffer = b"", bytearray(room)
        while (size := self.reader.read(memoryview(buffer))[0]) > 0:
            heard += buffer[:size]
        return heard


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.integers(0, 3 * RECORD_BYTES), max_size=6),
    step=st.integers(1, 100_000),
    room=st.integers(1, 40_000),
)
def test_a_stream_is_as_many_records_as_it_needs_and_is_read_as_it_was_written(
    parts: list[int], step: int, room: int
) -> None:
    ends = Ends()
    written = [bytes([number + 1]) * size for number, size in enumerate(parts)]
    ends.writer.write(written)
    ends.writer.end()
    count = -(-sum(parts) // RECORD_BYTES)
    sent = ends.sent.read()
    assert len(sent) == sum(parts) + count * OVERHEAD
    assert ends.writer.unsent == 0
    heard = b""
    for at in range(0, len(sent), step) if step > 500 else [0]:
        ends.come.write(sent[at : at + step] if step > 500 else sent)
        heard += ends.read(room)
    assert heard == b"".join(written)
    assert not ends.reader.unread


def test_what_is_no_whole_record_waits() -> None:
    ends = Ends()
    ends.writer.write([b"x" * RECORD_BYTES, b"rest"])
    assert ends.sent.pending == RECORD_BYTES + OVERHEAD
    assert ends.writer.unsent == RECORD_BYTES + OVERHEAD + len(b"rest")
    ends.writer.end()
    ends.writer.end()
    assert ends.sent.pending == RECORD_BYTES + len(b"rest") + 2 * OVERHEAD


def test_an_altered_record_is_no_end() -> None:
    ends = Ends()
    ends.writer.write([b"text"])
    ends.writer.end()
    sent = bytearray(ends.sent.read())
    sent[-1] ^= 1
    ends.come.write(sent)
    with pytest.raises(ssl.SSLError):
        ends.read(100)
