"""One WebSocket wire, its library played by the test: any order of events, any bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picows import WSMsgType
from picows.picows import _make_test_ws_frame as make_frame

from actr_peer.errors import BrokenError, LimitError, PeerError, RemoteProtocolError
from actr_peer.protocol.payload import WIRE_MESSAGE_BYTES
from actr_peer.protocol.websocket.handshake import (
    DiallerHandshake,
    ListenerHandshake,
)
from actr_peer.protocol.websocket.lane_frames import HANDSHAKE, MESSAGE_BYTES, decode, encode
from actr_peer.protocol.wire.life import WEBSOCKET
from actr_peer.wire.parking import MAX_PARKED
from actr_peer.wire.websocket.wire import ACTS, WebSocketWire
from peer_kit.fakes import ALICE, BOB, Recorder, turns


class Tcp:
    """The transport below."""

    def __init__(self) -> None:
        self.is_paused = False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int, low: int) -> None: ...

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class Library:
    """The library's side of a socket: what it was told, and what it tells."""

    def __init__(self) -> None:
        self.underlying_transport = Tcp()
        self.close_handshake = None
        self.sent: list[bytes] = []
        self.codes: list[int] = []
        self.is_dropped = False

    def send(self, kind: WSMsgType, data: bytes) -> None:
        self.sent.append(data)

    def send_reuse_external_bytearray(self, kind: WSMsgType, data: bytearray, at: int) -> None:
        self.sent.append(bytes(data[at:]))

    def send_close(self, code: int, reason: bytes = b"") -> None:
        self.codes.append(int(code))

    def disconnect(self, graceful: bool = True) -> None:
        self.is_dropped = True


class Owner:
    def __init__(self) -> None:
        self.settlements: list[PeerError | None] = []
        self.gone_count = 0

    def connected(self, wire: WebSocketWire) -> None: ...

    def settled(self, wire: WebSocketWire, error: PeerError | None) -> None:
        self.settlements.append(error)

    def gone(self, wire: WebSocketWire) -> None:
        self.gone_count += 1


class Bench:
    """A listener's wire with its library, and what a dialler would say to it."""

    def __init__(self) -> None:
        self.library: Any = Library()
        self.owner = Owner()
        self.sink = Recorder()
        self.wire = WebSocketWire(
            ListenerHandshake(local=BOB, nonce=b"l" * 32, secret=None), self.owner
        )
        self.wire.on_ws_connected(self.library)
        self._dialler = DiallerHandshake(local=ALICE, remote=BOB, nonce=b"d" * 32, secret=None)
        self.is_lost = False

    def frame(self, data: bytes, kind: WSMsgType = WSMsgType.BINARY, *, fin: bool = True) -> None:
        if not self.is_lost:
            self.wire.on_ws_frame(self.library, make_frame(kind, data, fin, False))

    def close_frame(self, code: int = 1000) -> None:
        self.frame(code.to_bytes(2, "big") + b"because", WSMsgType.CLOSE)

    def lose(self) -> None:
        if not self.is_lost:
            self.is_lost = True
            self.wire.on_ws_disconnected(self.library)

    def shake(self) -> None:
        self.frame(encode(HANDSHAKE, self._dialler.start()))
        if not self.library.sent:
            return  # taken for the rest of a message whose first piece came before
        _, challenge = decode(self.library.sent[-1])
        self.frame(encode(HANDSHAKE, self._dialler.receive(challenge).step))


async def test_a_slow_socket_gets_short_messages_until_it_is_fast_again() -> None:
    bench = Bench()
    clock = SimpleNamespace(now=0.0)
    bench.wire._loop = SimpleNamespace(time=lambda: clock.now)  # type: ignore[assignment]
    assert bench.wire.pack_bytes == WIRE_MESSAGE_BYTES, "before the far side says what it takes"
    bench.shake()
    assert bench.wire.pack_bytes == MESSAGE_BYTES
    for seconds, expected in (
        (0.001, MESSAGE_BYTES),
        (0.2, WIRE_MESSAGE_BYTES),
        (0.001, MESSAGE_BYTES),
    ):
        bench.wire.pause_writing()
        clock.now += seconds
        bench.wire.resume_writing()
        assert bench.wire.pack_bytes == expected


async def test_until_a_sink_comes_reading_is_paused() -> None:
    bench = Bench()
    bench.shake()
    assert bench.owner.settlements == [None]
    assert bench.library.underlying_transport.is_paused
    bench.frame(encode(0, b"early"))
    bench.wire.attach(bench.sink)
    assert not bench.library.underlying_transport.is_paused
    assert bench.sink.messages == [(0, b"early")]


async def test_what_was_read_before_a_sink_came_is_bounded() -> None:
    bench = Bench()
    bench.shake()
    for number in range(MAX_PARKED + 1):
        bench.frame(encode(0, b"%d" % number))
    assert bench.library.codes == [4413]
    bench.lose()
    bench.wire.attach(bench.sink)
    assert isinstance(bench.sink.ends[0], LimitError)
    assert bench.sink.late == []


async def test_a_sink_that_closes_on_the_first_parked_message_gets_no_other() -> None:
    bench = Bench()
    bench.shake()
    for number in range(3):
        bench.frame(encode(0, b"%d" % number))
    bench.sink.on_message = lambda wire, channel, data: wire.abort()
    bench.wire.attach(bench.sink)
    assert bench.sink.messages == [(0, b"0")]


async def test_what_the_library_refuses_is_the_far_side_s_fault() -> None:
    bench = Bench()
    bench.shake()
    bench.wire.attach(bench.sink)
    sent = SimpleNamespace(code=SimpleNamespace(value=1009), reason="too long")
    bench.library.close_handshake = SimpleNamespace(sent=sent)
    bench.lose()
    assert isinstance(bench.sink.ends[0], RemoteProtocolError)


@pytest.mark.parametrize(("code", "is_clean"), [(1000, True), (1001, True), (1011, False)])
async def test_the_far_side_s_code_says_whether_all_is_well(code: int, is_clean: bool) -> None:
    bench = Bench()
    bench.shake()
    bench.wire.attach(bench.sink)
    bench.close_frame(code)
    assert (bench.sink.ends == [None]) is is_clean
    assert bench.library.is_dropped


OPS: dict[str, Callable[[Bench], None]] = {
    "shake": lambda bench: bench.shake(),
    "attach": lambda bench: bench.wire.attach(bench.sink),
    "message": lambda bench: bench.frame(encode(1, b"hi")),
    "long": lambda bench: bench.frame(bytes(300_000)),
    "bad": lambda bench: bench.frame(b"\x07\x00"),
    "text": lambda bench: bench.frame(b"hello", WSMsgType.TEXT),
    "piece": lambda bench: bench.frame(b"\x01\x00\x00", fin=False),
    "rest": lambda bench: bench.frame(b"\x00\x01!", WSMsgType.CONTINUATION),
    "pong": lambda bench: bench.frame(b"", WSMsgType.PONG),
    "far close": lambda bench: bench.close_frame(),
    "far refusal": lambda bench: bench.close_frame(4401),
    "no code": lambda bench: bench.frame(b"", WSMsgType.CLOSE),
    "abort": lambda bench: bench.wire.abort(),
    "full": lambda bench: bench.wire.pause_writing(),
    "drained": lambda bench: bench.wire.resume_writing(),
    "too slow": lambda bench: bench.wire._overdue(),
    "lose": lambda bench: bench.lose(),
}


@settings(max_examples=150)
@given(
    st.lists(st.sampled_from(sorted(OPS)) | st.binary(max_size=40), max_size=25),
    st.booleans(),
    st.sampled_from([None, RemoteProtocolError("x"), LimitError("x", limit=1, asked=2)]),
)
def test_in_any_order_of_events_the_end_is_told_once_and_last(
    script: list[str | bytes], is_shaken: bool, refusal: PeerError | None
) -> None:
    async def play() -> None:
        bench = Bench()
        if refusal is not None:
            bench.sink.on_message = lambda *_: (_ for _ in ()).throw(refusal)
        if is_shaken:
            bench.shake()
        has_shaken = is_shaken
        for item in script:
            if isinstance(item, bytes):
                bench.frame(item)
            elif item != "shake":
                OPS[item](bench)
            elif not has_shaken and not bench.library.sent and not bench.is_lost:
                has_shaken = True
                if bench.wire._life.phase.name == "GREETING":
                    bench.shake()
            await turns(1)
        closing = asyncio.create_task(bench.wire.close())
        await turns(1)
        bench.lose()
        await closing
        await turns(2)
        bench.wire.attach(bench.sink)
        with pytest.raises(BrokenError):
            bench.wire.send(0, b"late")
        assert len(bench.sink.ends) == 1
        assert bench.sink.late == []
        assert bench.owner.gone_count == 1
        assert len(bench.owner.settlements) <= 1

    asyncio.run(play())


def test_each_act_of_a_wire_s_life_has_who_does_it() -> None:
    assert {act for _, acts in WEBSOCKET.values() for act in acts} == set(ACTS)
