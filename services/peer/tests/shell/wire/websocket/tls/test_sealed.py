"""TLS between a socket and a protocol, with both played: any cut of the bytes, pauses, ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actr_peer.wire.websocket.tls.contexts import dialler_context, listener_context
from actr_peer.wire.websocket.tls.records import RECORD_BYTES
from actr_peer.wire.websocket.tls.sealed import FLUSH_BYTES, RAW_BYTES, Sealed, SealError
from peer_kit.fakes import BOB, turns
from peer_kit.vectors.identities import Issuer

LISTENER = listener_context(Issuer().certified(BOB).identity)


class Socket(asyncio.Transport):
    """A transport below: what is written waits until the test passes it on."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.did: list[str] = []
        self.is_paused = self.is_gone = False
        self.waiting = 0

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_gone

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.did.append("eof")

    def close(self) -> None:
        self.is_gone = True
        self.did.append("close")

    def abort(self) -> None:
        self.is_gone = True
        self.did.append("abort")

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 1, 2

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.did.append(f"limits {high} {low}")

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return f"the {name}" if name == "socket" else default


class Speaker(asyncio.BufferedProtocol):
    """What speaks over it, with room for so many bytes at once."""

    def __init__(self, room: int = 1000) -> None:
        self.room = bytearray(room)
        self.heard = bytearray()
        self.told: list[str] = []
        self.filled_with: list[int] = []
        self.loss: list[Exception | None] = []
        self.transport: Any = None
        self.pause_after: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.room

    def filled(self, nbytes: int) -> None:
        self.filled_with.append(nbytes)

    def buffer_updated(self, nbytes: int) -> None:
        self.heard += self.room[:nbytes]
        if self.pause_after is not None and len(self.heard) >= self.pause_after:
            self.transport.pause_reading()

    def eof_received(self) -> None:
        self.told.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.loss.append(exc)

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


class Side:
    """A socket, TLS and a speaker."""

    def __init__(self, *, is_listener: bool, room: int = 1000) -> None:
        self.socket, self.speaker = Socket(), Speaker(room)
        self.sealed = Sealed(
            LISTENER if is_listener else dialler_context(),
            self.speaker,
            memoryview(bytearray(RAW_BYTES)),
            is_listener=is_listener,
            plain_answer=b"only TLS" if is_listener else b"",
        )
        self.sealed.connection_made(self.socket)

    def take(self, data: bytes) -> None:
        view = self.sealed.get_buffer(-1)
        view[: len(data)] = data
        self.sealed.buffer_updated(len(data))

    def sent(self) -> bytes:
        data, self.socket.written = bytes(self.socket.written), bytearray()
        return data


def passed(source: Side, target: Side, step: int = RAW_BYTES) -> None:
    data = source.sent()
    for at in range(0, len(data), step):
        target.take(data[at : at + step])


def pair(*, room: int = 1000, step: int = RAW_BYTES) -> tuple[Side, Side]:
    dialler, listener = Side(is_listener=False, room=room), Side(is_listener=True, room=room)
    for _ in range(3):
        passed(dialler, listener, step)
        passed(listener, dialler, step)
    assert dialler.sealed.is_sealed
    assert listener.sealed.is_sealed
    return dialler, listener


@pytest.mark.parametrize("step", [1, 7, 500, RAW_BYTES])
async def test_both_are_connected_when_tls_stands_however_it_is_cut(step: int) -> None:
    dialler, listener = pair(step=step)
    for side in (dialler, listener):
        assert side.speaker.transport is side.sealed
        assert side.sealed.get_extra_info("ssl_object") is not None
        assert side.sealed.get_extra_info("socket") == "the socket"
        assert side.sealed.get_extra_info("other", 3) == 3


async def _said(parts: list[bytes], step: int, room: int) -> None:
    dialler, listener = pair(room=room)
    dialler.sealed.writelines(parts)
    passed(dialler, listener, step)
    assert listener.speaker.heard == b"".join(parts)
    listener.sealed.write(b"".join(parts))
    passed(listener, dialler, step)
    assert dialler.speaker.heard == b"".join(parts)


@settings(max_examples=40, deadline=None)
@given(
    parts=st.lists(st.binary(max_size=40_000), max_size=4),
    step=st.integers(50, 40_000),
    room=st.integers(1, 40_000),
)
def test_what_is_written_is_what_is_read_however_it_is_cut(
    parts: list[bytes], step: int, room: int
) -> None:
    asyncio.run(_said(parts, step, room))


def records(data: bytes) -> list[int]:
    """How long the records are, of which some bytes are."""
    sizes = []
    while data:
        size = 5 + int.from_bytes(data[3:5], "big")
        sizes.append(size)
        data = data[size:]
    return sizes


async def test_what_is_written_first_in_a_turn_goes_at_once_and_the_rest_in_one_record() -> None:
    dialler, listener = pair()
    for number in range(100):
        dialler.sealed.write(b"%3d" % number)
    assert records(bytes(dialler.socket.written)) == [3 + 22]
    assert dialler.sealed.get_write_buffer_size() == 99 * 3
    passed(dialler, listener)
    await turns(1)
    assert records(bytes(dialler.socket.written)) == [99 * 3 + 22]
    assert dialler.sealed.get_write_buffer_size() == 0
    passed(dialler, listener)
    assert listener.speaker.heard == b"".join(b"%3d" % number for number in range(100))
    dialler.sealed.write(b"the next turn")
    assert records(dialler.sent()) == [13 + 22]


async def test_a_long_burst_does_not_wait_for_the_end_of_its_turn() -> None:
    dialler, listener = pair()
    for _ in range(40):
        dialler.sealed.write(bytes(10_000))
    assert dialler.sealed.get_write_buffer_size() < FLUSH_BYTES + RECORD_BYTES
    assert len(dialler.socket.written) > 400_000 - FLUSH_BYTES - RECORD_BYTES
    await turns(1)
    sent = dialler.sent()
    assert len(records(sent)) < 400_000 // RECORD_BYTES + 3
    for at in range(0, len(sent), RAW_BYTES):
        listener.take(sent[at : at + RAW_BYTES])
    assert len(listener.speaker.heard) == 400_000


@pytest.mark.parametrize("end", [Sealed.close, Sealed.write_eof])
async def test_what_waits_for_the_end_of_a_turn_goes_before_an_end(
    end: Callable[[Sealed], None],
) -> None:
    dialler, listener = pair()
    dialler.sealed.write(b"first ")
    dialler.sealed.write(b"last")
    end(dialler.sealed)
    passed(dialler, listener)
    assert (listener.speaker.heard, listener.speaker.told) == (b"first last", ["eof"])
    await turns(1)
    assert not dialler.socket.written


async def test_what_waits_for_the_end_of_a_turn_is_gone_with_an_abort() -> None:
    dialler, _ = pair()
    dialler.sealed.write(b"first")
    dialler.sealed.write(b"last")
    dialler.sent()
    dialler.sealed.abort()
    await turns(1)
    assert not dialler.socket.written


async def test_nothing_is_read_while_it_is_paused_and_all_after() -> None:
    dialler, listener = pair(room=100)
    listener.speaker.pause_after = 150
    dialler.sealed.write(bytes(1000))
    passed(dialler, listener)
    assert len(listener.speaker.heard) == 200
    assert listener.socket.is_paused
    assert not listener.sealed.is_reading()
    listener.speaker.pause_after = None
    listener.sealed.resume_reading()
    assert len(listener.speaker.heard) == 200, "not while the caller runs"
    await turns(2)
    assert len(listener.speaker.heard) == 1000
    assert not listener.socket.is_paused
    listener.sealed.pause_reading()
    listener.sealed.resume_reading()
    assert not listener.socket.is_paused
    assert listener.sealed.is_reading()


async def test_a_pause_after_a_resumption_holds() -> None:
    dialler, listener = pair(room=100)
    listener.speaker.pause_after = 100
    dialler.sealed.write(bytes(1000))
    passed(dialler, listener)
    listener.sealed.resume_reading()
    listener.sealed.pause_reading()
    await turns(2)
    assert len(listener.speaker.heard) == 100
    assert listener.socket.is_paused


async def test_a_read_that_filled_the_buffer_counts_as_a_whole_share() -> None:
    dialler, listener = pair(room=RAW_BYTES)
    listener.sealed.set_protocol(listener.speaker)
    assert listener.sealed.get_protocol() is listener.speaker
    dialler.sealed.write(bytes(RAW_BYTES * 2))
    data = dialler.sent()
    listener.take(data[:RAW_BYTES])
    assert listener.speaker.filled_with == [len(listener.speaker.heard)]
    listener.take(data[RAW_BYTES : RAW_BYTES + 50_000])
    assert len(listener.speaker.filled_with) == 1


async def test_what_is_below_is_asked_and_told_of_writing() -> None:
    dialler, _ = pair()
    dialler.sealed.set_write_buffer_limits(5, 2)
    dialler.socket.waiting = 7
    assert dialler.socket.did == ["limits 5 2"]
    assert dialler.sealed.get_write_buffer_limits() == (1, 2)
    assert dialler.sealed.get_write_buffer_size() == 7
    dialler.sealed.pause_writing()
    dialler.sealed.resume_writing()
    assert dialler.speaker.told == ["pause", "resume"]


async def test_an_end_in_good_order_is_told() -> None:
    dialler, listener = pair()
    dialler.sealed.write(b"last")
    dialler.sealed.close()
    dialler.sealed.close()
    assert dialler.socket.did == ["close"]
    dialler.sealed.write(b"too late")
    passed(dialler, listener)
    assert listener.speaker.heard == b"last"
    assert listener.speaker.told == ["eof"]
    assert listener.socket.did == ["close"]
    listener.sealed.connection_lost(None)
    assert listener.speaker.loss == [None]


async def test_after_its_own_end_what_comes_is_only_counted() -> None:
    dialler, listener = pair(room=100)
    assert listener.sealed.can_write_eof()
    listener.sealed.write_eof()
    listener.sealed.write_eof()
    assert listener.socket.did == ["eof"]
    dialler.sealed.write(bytes(500))
    sent = dialler.sent()
    listener.take(sent)
    assert len(listener.speaker.heard) == len(sent)
    assert listener.speaker.heard == bytes(len(sent)), "none of it is read"


@pytest.mark.parametrize("waiting", [0, 1])
async def test_an_altered_byte_ends_it_with_the_reason(waiting: int) -> None:
    dialler, listener = pair()
    listener.socket.waiting = waiting
    dialler.sealed.write(b"a secret")
    data = bytearray(dialler.sent())
    data[-1] ^= 1
    listener.take(bytes(data))
    assert listener.speaker.heard == b""
    assert listener.socket.did == ["abort" if waiting else "close"]
    listener.sealed.connection_lost(None)
    (loss,) = listener.speaker.loss
    assert isinstance(loss, SealError)
    assert "TLS failed" in str(loss)
    passed(listener, dialler)  # the alert
    dialler.sealed.connection_lost(None)
    assert isinstance(dialler.speaker.loss[0], SealError)


async def test_who_speaks_no_tls_is_told_in_plain_text() -> None:
    listener = Side(is_listener=True)
    listener.take(b"GET / HTTP/1.1\r\n")
    assert listener.sent() == b"only TLS"
    assert listener.socket.did == ["close"]
    assert listener.speaker.transport is None
    dialler = Side(is_listener=False)
    dialler.sent()
    dialler.take(b"HTTP/1.1 400 no\r\n")
    assert dialler.sealed.failure is not None
    assert dialler.sent() == b""


async def test_it_may_be_aborted_before_there_is_anything_below() -> None:
    speaker = Speaker()
    raw = memoryview(bytearray(RAW_BYTES))
    sealed = Sealed(LISTENER, speaker, raw, is_listener=True)
    assert sealed.is_closing()
    assert sealed.get_write_buffer_size() == 0
    assert sealed.get_write_buffer_limits() == (0, 0)
    assert sealed.get_extra_info("socket") is None
    assert not sealed.can_write_eof()
    sealed.pause_reading()
    sealed.resume_reading()
    sealed.set_write_buffer_limits(1)
    sealed.write_eof()
    sealed.close()
    sealed.abort()
    socket = Socket()
    sealed.connection_made(socket)
    assert socket.did == ["abort"]
    assert socket.written == b""
    sealed.connection_lost(None)
    assert speaker.loss == [None]


async def test_a_stream_that_ends_in_the_handshake_is_lost() -> None:
    listener = Side(is_listener=True)
    assert not listener.sealed.eof_received()
    assert listener.speaker.told == []
    _, other = pair()
    assert not other.sealed.eof_received()
    assert other.speaker.told == ["eof"]
