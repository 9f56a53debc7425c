"""The listener and the dialler against raw sockets: RFC 6455, and strangers in numbers."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from actr_peer.errors import LimitError, RemoteProtocolError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.protocol.websocket import door
from actr_peer.protocol.websocket.door import Door
from actr_peer.protocol.websocket.handshake import Accepted, DiallerHandshake, ListenerHandshake
from actr_peer.protocol.websocket.lane_frames import HANDSHAKE, MAX_DATA_BYTES, decode, encode
from actr_peer.protocol.websocket.upgrade import (
    MAX_HEAD_BYTES,
    PATH,
    make_accept,
    step_headers,
)
from actr_peer.wire import tcp
from actr_peer.wire.base import Wire
from actr_peer.wire.websocket import arrivals, framing
from actr_peer.wire.websocket.wires import WebSocketWires
from peer_kit.fakes import ALICE, BOB, CAROL, Recorder, turns
from peer_kit.signaling.servers import serving

pytestmark = [pytest.mark.service, pytest.mark.timeout(60)]

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = (
    f"GET {PATH} HTTP/1.1\r\nHost: bob\r\nUpgrade: websocket\r\n"
    f"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {KEY}\r\n\r\n"
).encode()
BINARY, CONTINUATION, TEXT, CLOSE, PING, PONG = 0x2, 0x0, 0x1, 0x8, 0x9, 0xA
FIN = 0x80
MASK = b"\x0f\xf0\x55\xaa"


def frame(first: int, payload: bytes = b"", *, mask: bytes = MASK, length: bytes = b"") -> bytes:
    """One frame, with any first byte; an empty mask is that of a listener."""
    flag = 0x80 if mask else 0
    if not length:
        size = len(payload)
        if size < 126:
            length = bytes([flag | size])
        elif size < 1 << 16:
            length = bytes([flag | 126]) + size.to_bytes(2, "big")
        else:
            length = bytes([flag | 127]) + size.to_bytes(8, "big")
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)) if mask else payload
    return bytes([first]) + length + mask + masked


@dataclass
class Raw:
    """A connection of bytes, and what may be read from it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def frame(self) -> tuple[int, bytes]:
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        mask = await self.reader.readexactly(4) if second & 0x80 else bytes(4)
        payload = await self.reader.readexactly(size)
        return first, bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))

    async def closed(self) -> int | None:
        """Read to the end; the code of the close frame, if one came."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                first, payload = await self.frame()
                if first & 0xF == CLOSE:
                    return int.from_bytes(payload[:2], "big")
        return None

    async def shake(self) -> None:
        """Upgrade, and do the dialler's part of the handshake."""
        self.writer.write(UPGRADE)
        await self.reader.readuntil(b"\r\n\r\n")
        handshake = DiallerHandshake(local=ALICE, remote=BOB, nonce=b"n" * 32, secret=None)
        step = handshake.start()
        while True:
            self.writer.write(frame(FIN | BINARY, encode(HANDSHAKE, step)))
            outcome = handshake.receive(decode((await self.frame())[1])[1])
            if isinstance(outcome, Accepted):
                return
            step = outcome.step


@dataclass
class Bob:
    """A listener that gives each wire a sink."""

    wires: WebSocketWires
    sinks: asyncio.Queue[Recorder]
    port: int = 0

    @asynccontextmanager
    async def raw(self, host: str = "127.0.0.1") -> AsyncIterator[Raw]:
        """A connection from ``host``, which is one of this machine's loopback addresses."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(host, 0))
        try:
            yield Raw(reader, writer)
        finally:
            writer.transport.abort()


@pytest.fixture
async def bob() -> AsyncIterator[Bob]:
    sinks: asyncio.Queue[Recorder] = asyncio.Queue()

    def take(wire: Wire) -> None:
        sink = Recorder()
        wire.attach(sink)
        sinks.put_nowait(sink)

    wires = WebSocketWires(self_id=BOB, listen="127.0.0.1:0", on_wire=take, secret=None)
    async with wires:
        yield Bob(wires, sinks, int(wires.address.split(":")[2].split("/")[0]))
        async with dialling() as alice:  # whatever strangers did
            await (await alice.dial(BOB, wires.address)).close()
    await turns(20)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def dialling(rule: AddressRule | None = None) -> WebSocketWires:
    return WebSocketWires(
        self_id=ALICE,
        listen=None,
        on_wire=lambda wire: None,
        secret=None,
        rule=rule or AddressRule(allow_loopback=True),
    )


# The upgrade; the table of answers is tested in test_upgrade.py


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (UPGRADE.replace(b"GET", b"PUT"), 405),
        (UPGRADE.replace(b": 13", b": 7"), 426),
        (UPGRADE.replace(KEY.encode(), b"short"), 400),
        (UPGRADE.replace(b"wire HTTP", b"other HTTP"), 404),
        (UPGRADE.replace(b"Host", b"Origin: http://a\r\nHost"), 403),
        (UPGRADE[:-2] + b"X: " + b"y" * MAX_HEAD_BYTES, 431),
        (UPGRADE[:-2] + b"X: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
        (UPGRADE[:-2] + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"\x16\x03\x01 hello\r\n\r\n", 400),
    ],
    ids=["method", "version", "key", "path", "browser", "no end", "long", "many", "TLS"],
)
async def test_a_refusal_is_read_before_the_end(bob: Bob, request_: bytes, status: int) -> None:
    async with bob.raw() as raw:
        raw.writer.write(request_)
        answer = await raw.reader.read()
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        raw.writer.write(b"more" * 100)  # it is not answered


async def test_an_upgrade_in_single_bytes_is_one(bob: Bob) -> None:
    async with bob.raw() as raw:
        for byte in UPGRADE:
            raw.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert b" 101 " in await raw.reader.readline()


async def test_what_comes_with_the_head_is_the_first_frame(bob: Bob) -> None:
    async with bob.raw() as raw:
        raw.writer.write(UPGRADE + frame(FIN | PING, b"early"))
        await raw.reader.readuntil(b"\r\n\r\n")
        assert await raw.frame() == (FIN | PONG, b"early")


def upgrade_with(step: bytes) -> bytes:
    """A request with which the first step comes."""
    ((name, text),) = step_headers(step, b"")
    return UPGRADE[:-2] + f"{name}: {text}\r\n\r\n".encode()


async def test_a_first_step_that_comes_with_the_head_is_answered_behind_it(bob: Bob) -> None:
    handshake = DiallerHandshake(local=ALICE, remote=BOB, nonce=b"n" * 32, secret=None)
    async with bob.raw() as raw:
        raw.writer.write(upgrade_with(handshake.start()))
        assert b"\r\nActr-Hello: taken\r\n" in await raw.reader.readuntil(b"\r\n\r\n")
        proof = handshake.receive(decode((await raw.frame())[1])[1])
        raw.writer.write(frame(FIN | BINARY, encode(HANDSHAKE, proof.step)))
        assert isinstance(handshake.receive(decode((await raw.frame())[1])[1]), Accepted)


async def test_a_proof_in_the_head_of_a_wire_without_tls_is_passed_over(bob: Bob) -> None:
    handshake = DiallerHandshake(local=ALICE, remote=BOB, nonce=b"n" * 32, secret=None)
    request_ = upgrade_with(handshake.start())[:-2] + b"Actr-Proof: AAAA\r\n\r\n"
    async with bob.raw() as raw:
        raw.writer.write(request_)
        await raw.reader.readuntil(b"\r\n\r\n")
        proof = handshake.receive(decode((await raw.frame())[1])[1])
        raw.writer.write(frame(FIN | BINARY, encode(HANDSHAKE, proof.step)))
        assert isinstance(handshake.receive(decode((await raw.frame())[1])[1]), Accepted)


async def test_a_first_step_comes_once(bob: Bob) -> None:
    handshake = DiallerHandshake(local=ALICE, remote=BOB, nonce=b"n" * 32, secret=None)
    hello = handshake.start()
    async with bob.raw() as raw:
        raw.writer.write(upgrade_with(hello) + frame(FIN | BINARY, encode(HANDSHAKE, hello)))
        await raw.reader.readuntil(b"\r\n\r\n")
        assert await raw.closed() == 4400


@pytest.mark.parametrize(
    ("remote", "step", "code"),
    [(CAROL, b"", 4404), (BOB, b"\x00", 4400), (BOB, b"no step", 4400)],
    ids=["wrong actor", "nothing", "malformed"],
)
async def test_a_first_step_that_is_refused_is_told_so_as_in_a_frame(
    bob: Bob, remote: ActrId, step: bytes, code: int
) -> None:
    handshake = DiallerHandshake(local=ALICE, remote=remote, nonce=b"n" * 32, secret=None)
    async with bob.raw() as raw:
        raw.writer.write(upgrade_with(step or handshake.start()))
        await raw.reader.readuntil(b"\r\n\r\n")
        handshake.start()
        answer = decode((await raw.frame())[1])[1]
        with pytest.raises(UnreachableError):
            handshake.receive(answer)
        assert await raw.closed() == code


async def test_who_goes_on_after_a_refusal_is_cut_off(bob: Bob) -> None:
    async with bob.raw() as raw:
        raw.writer.write(b"no\r\n\r\n")
        await raw.reader.read()
        with suppress(ConnectionError):
            for _ in range(1000):
                raw.writer.write(bytes(4096))
                await raw.writer.drain()
                await asyncio.sleep(0)  # the listener is in this loop
            raise AssertionError("four megabytes were read after the refusal")


# Frames at the listener

WIRE_FRAME = encode(0, b"data")


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (frame(FIN | 0x40 | BINARY, WIRE_FRAME), 1002),
        (frame(FIN | 0x10 | PING), 1002),
        (frame(FIN | 0x3), 1002),
        (frame(FIN | 0xB), 1002),
        (frame(FIN | CONTINUATION, b"x"), 1002),
        (frame(BINARY, b"x") + frame(FIN | BINARY, WIRE_FRAME), 1002),
        (frame(BINARY, b"x") + frame(BINARY, b"y"), 1002),
        (frame(PING, b"in pieces"), 1002),
        (frame(FIN | PING, bytes(126)), 1002),
        (frame(FIN | BINARY, WIRE_FRAME, mask=b""), 1002),
        (frame(FIN | BINARY, b"x", length=b"\xfe\x00\x01"), 1002),
        (frame(FIN | BINARY, b"x", length=b"\xff" + bytes(7) + b"\x01"), 1002),
        (frame(FIN | BINARY, b"x", length=b"\xff\x80" + bytes(6) + b"\x01"), 1002),
        (frame(FIN | CLOSE, b"\x03"), 1002),
        *((frame(FIN | CLOSE, code.to_bytes(2, "big")), 1002) for code in (0, 999, 1004, 1005)),
        *((frame(FIN | CLOSE, code.to_bytes(2, "big")), 1002) for code in (1006, 1015, 2999, 5000)),
        (frame(FIN | CLOSE, b"\x03\xe8\xff\xfe"), 1007),
        (frame(FIN | TEXT, b"text"), 4400),
        (frame(FIN | CLOSE, b"\x03\xe8"), 1000),
        (frame(FIN | CLOSE), 1000),
    ],
)
async def test_a_dialler_that_breaks_the_standard_is_told_and_closed(
    bob: Bob, frames: bytes, code: int
) -> None:
    async with bob.raw() as raw:
        await raw.shake()
        sink = await bob.sinks.get()
        raw.writer.write(frames)
        assert await raw.closed() == code
        raw.writer.close()
        await sink.gone.wait()
        assert sink.messages == []
        assert isinstance(sink.ends[0], RemoteProtocolError) is (code != 1000)


async def test_the_last_ping_of_many_is_answered(bob: Bob) -> None:
    async with bob.raw() as raw:
        await raw.shake()
        raw.writer.write(b"".join(frame(FIN | PING, b"%d" % n) for n in range(300)))
        payload = b""
        while payload != b"299":
            first, payload = await raw.frame()
            assert first == FIN | PONG


LONG = bytes(range(256)) * 300


@pytest.mark.parametrize("step", [1, 3000, 1 << 20])
async def test_long_frames_come_whole_and_in_order_however_they_are_cut(
    bob: Bob, step: int
) -> None:
    expected = [(1, b"a"), (2, LONG), (2, LONG[:9000]), (1, b"b"), (2, LONG * 3)]
    data = frame(FIN | PING, b"?")
    for channel, message in expected:
        data += frame(FIN | BINARY, encode(channel, message))
    async with bob.raw() as raw:
        await raw.shake()
        sink = await bob.sinks.get()
        head, rest = data[:60_000], data[60_000:]
        for at in range(0, len(head), max(step, 500)):
            raw.writer.write(head[at : at + max(step, 500)])
            await turns(2)
        for at in range(0, len(rest), max(step, 10_000)):
            raw.writer.write(rest[at : at + max(step, 10_000)])
            await turns(2)
        assert await sink.received(len(expected)) == expected
        assert await raw.frame() == (FIN | PONG, b"?")


@pytest.mark.timeout(60)
async def test_a_beginning_that_is_longer_than_what_was_kept_before_is_kept(bob: Bob) -> None:
    whole = encode(2, LONG)
    async with bob.raw() as raw:
        await raw.shake()
        sink = await bob.sinks.get()
        # Pieces are the library's, whose buffer grows by them; one of this side's stays short.
        raw.writer.write(frame(BINARY, whole[:60_000]) + frame(FIN, whole[60_000:]))
        assert await sink.received(1) == [(2, LONG)]
        for data in (short := frame(FIN | BINARY, encode(2, LONG[:9000])))[:100], short[100:]:
            raw.writer.write(data)
            await turns(20)
        assert (await sink.received(2))[1] == (2, LONG[:9000])
        raw.writer.write(frame(FIN | BINARY, encode(1, b"a")))
        assert (await sink.received(3))[2] == (1, b"a")
        for data in (long := frame(FIN | BINARY, whole))[:60_000], long[60_000:]:
            raw.writer.write(data)
            await turns(20)
        assert (await sink.received(4))[3] == (2, LONG)


async def test_a_message_in_pieces_has_no_long_frame_inside(bob: Bob) -> None:
    async with bob.raw() as raw:
        await raw.shake()
        sink = await bob.sinks.get()
        raw.writer.write(frame(BINARY, encode(1, b"hello")[:4]))
        raw.writer.write(frame(FIN | BINARY, encode(2, LONG)))
        assert await raw.closed() == 1002
        assert sink.messages == []


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(frame(FIN | BINARY, encode(9, LONG)), id="no such channel"),
        pytest.param(frame(FIN | BINARY, LONG), id="a length that is not its own"),
        pytest.param(frame(FIN | 0x40 | BINARY, encode(2, LONG)), id="a reserved bit"),
        pytest.param(frame(FIN | BINARY, bytes(300_000)), id="longer than any"),
        pytest.param(frame(FIN | BINARY, encode(2, LONG), mask=b""), id="not masked"),
        pytest.param(frame(FIN | TEXT, LONG), id="text"),
    ],
)
async def test_a_long_frame_that_breaks_a_rule_ends_the_wire(bob: Bob, bad: bytes) -> None:
    async with bob.raw() as raw:
        await raw.shake()
        sink = await bob.sinks.get()
        raw.writer.write(frame(FIN | BINARY, encode(2, LONG)) + bad)
        raw.writer.write(frame(FIN | BINARY, encode(2, LONG)) * 2)
        await raw.closed()
        await sink.gone.wait()
        assert isinstance(sink.ends[0], RemoteProtocolError | LimitError)
        assert sink.messages == [(2, LONG)], "nothing behind it is heard"


async def test_a_long_frame_before_the_handshake_is_refused(bob: Bob) -> None:
    async with bob.raw() as raw:
        raw.writer.write(UPGRADE)
        raw.writer.write(frame(FIN | BINARY, encode(2, LONG)))
        await raw.reader.readuntil(b"\r\n\r\n")
        assert await raw.closed() == 4400


async def test_what_is_read_ahead_has_a_bound(bob: Bob) -> None:
    held: list[int] = []
    get_buffer = framing.ListenerFraming.get_buffer

    def noted(self: framing.ListenerFraming, hint: int) -> memoryview:
        room = get_buffer(self, hint)
        held.append(len(self._bytes))
        return room

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing.ListenerFraming, "get_buffer", noted)
        async with bob.raw() as raw:
            await raw.shake()
            sink = await bob.sinks.get()
            assert held[-1] == 0, "until something long comes"
            longest = encode(2, bytes(MAX_DATA_BYTES))
            raw.writer.write(frame(FIN | BINARY, longest) * 4)
            assert len(await sink.received(4)) == 4
    assert max(held) <= framing.MAX_READ_BUFFER_BYTES


async def test_a_flood_in_one_turn_narrows_what_the_next_one_reads() -> None:
    class Counting:
        frames = 0
        is_deaf = False

    wire = Counting()
    fed = framing.Framing(None, wire, dialled="bob:1/v1/wire")  # type: ignore[arg-type]  # never used
    assert len(fed.get_buffer(-1)) > 8 * 1024
    for _ in range(2):
        wire.frames = 50 * framing.FRAMES_A_TURN
        room = fed.get_buffer(-1)
    assert len(room) == framing.MIN_WINDOW_BYTES
    assert wire.frames == 0
    for _ in range(10):
        wire.frames = framing.FRAMES_A_TURN
        room = fed.get_buffer(-1)
    assert len(room) > 8 * 1024, "back to what it was"


async def test_no_turn_of_the_loop_takes_more_than_its_share_of_a_flood(
    bob: Bob, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    share = framing.Framing._share_of

    def noted(self: framing.Framing, room: memoryview) -> memoryview:
        taken.append(self._counting.frames)
        return share(self, room)

    monkeypatch.setattr(framing.Framing, "_share_of", noted)
    async with bob.raw() as raw:
        await raw.shake()
        flood = frame(FIN | PONG) * 100_000
        raw.writer.write(flood + frame(FIN | PING, b"end"))
        while (await raw.frame())[1] != b"end":
            pass
    settled = sorted(taken)[: -(len(taken) // 10)]
    assert sum(taken) > 90_000
    assert settled[-1] <= 2 * framing.FRAMES_A_TURN


async def test_who_goes_on_after_breaking_a_rule_is_not_heard_and_cut_off(bob: Bob) -> None:
    async with bob.raw() as raw:
        await raw.shake()
        await bob.sinks.get()
        raw.writer.write(frame(FIN | TEXT, b"no"))
        assert await raw.closed() == 4400
        with suppress(ConnectionError):
            for _ in range(1000):
                raw.writer.write(frame(FIN | PING, bytes(100)) * 40)
                await raw.writer.drain()
                await asyncio.sleep(0)  # the listener is in this loop
            raise AssertionError("four megabytes were read after the close")


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE, BINARY])
async def test_a_stranger_that_floods_before_the_handshake_is_cut_off(
    bob: Bob, opcode: int
) -> None:
    async with bob.raw() as raw:
        first = opcode if opcode == BINARY else FIN | opcode
        raw.writer.write(UPGRADE + frame(first) + frame(FIN | PING) * 100)
        await raw.reader.readuntil(b"\r\n\r\n")
        assert await raw.closed() in (4413, 1000)


# The dialler against a listener of bytes


@asynccontextmanager
async def listening(handle: Callable[[Raw], Awaitable[None]]) -> AsyncIterator[str]:
    """A server of bytes, all of whose connections have ended with the block; its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(Raw(reader, writer))
        finally:
            writer.transport.abort()

    async with serving(serve) as port:
        yield f"ws://127.0.0.1:{port}{PATH}"


@asynccontextmanager
async def played(*pieces: bytes) -> AsyncIterator[str]:
    """A listener that upgrades, does the handshake and says ``pieces``; its address."""

    async def serve(raw: Raw) -> None:
        head = (await raw.reader.readuntil(b"\r\n\r\n")).decode()
        assert head.startswith(f"GET {PATH} HTTP/1.1\r\n")
        key = head.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
        answer = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n"
            "Connection: keep-alive, Upgrade\r\n"
            f"Sec-WebSocket-Accept: {make_accept(key)}\r\n\r\n"
        )
        raw.writer.write(answer.encode())
        handshake = ListenerHandshake(local=BOB, nonce=b"n" * 32, secret=None)
        while True:
            outcome = handshake.receive(decode((await raw.frame())[1])[1])
            raw.writer.write(frame(FIN | BINARY, encode(HANDSHAKE, outcome.step), mask=b""))
            if isinstance(outcome, Accepted):
                break
        for piece in pieces:
            raw.writer.write(piece)
        await raw.closed()

    async with listening(serve) as url:
        yield url


async def test_a_listener_behind_a_proxy_that_adds_to_connection_is_dialled() -> None:
    async with played(frame(FIN | BINARY, WIRE_FRAME, mask=b"")) as url, dialling() as alice:
        wire = await alice.dial(BOB, url)
        sink = Recorder()
        wire.attach(sink)
        assert await sink.received(1) == [(0, b"data")]


@pytest.mark.parametrize(
    "piece",
    [
        frame(FIN | BINARY, WIRE_FRAME),  # masked
        frame(FIN | 0x20 | BINARY, WIRE_FRAME, mask=b""),
        frame(FIN | 0x5, mask=b""),
        frame(FIN | CONTINUATION, b"x", mask=b""),
        frame(FIN | CLOSE, b"\x03\xee", mask=b""),
        frame(FIN | CLOSE, b"\x03", mask=b""),
        frame(PONG, mask=b""),
    ],
    ids=["masked", "reserved", "opcode", "continuation", "1006", "one byte", "pong in pieces"],
)
async def test_a_listener_that_breaks_the_standard_loses_its_wire(
    piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, complaints = asyncio.Event(), list[str]()
    real = framing.Framing.connection_lost

    def noted(self: framing.Framing, exc: Exception | None) -> None:
        real(self, exc)
        closed.set()

    monkeypatch.setattr(framing.Framing, "connection_lost", noted)
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: complaints.append(context["message"])
    )

    async def lose() -> None:
        async with played(piece) as url, dialling() as alice:
            wire = await alice.dial(BOB, url)
            sink = Recorder()
            wire.attach(sink)
            await sink.gone.wait()
            assert isinstance(sink.ends[0], RemoteProtocolError)

    await lose()
    await closed.wait()
    await turns(50)  # until nobody has the connection any more
    gc.collect()
    await turns(5)
    assert complaints == [], "it is no failure of this side"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:9/\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + make_accept(KEY).encode() + b"\r\n\r\n",
        b"HTTP/1.1 101 S\r\nX: " + b"y" * MAX_HEAD_BYTES,
        b"nonsense\r\n\r\n",
    ],
    ids=["redirect", "another key", "long", "nonsense"],
)
async def test_an_answer_that_is_no_upgrade_is_unreachable(answer: bytes) -> None:
    async def serve(raw: Raw) -> None:
        await raw.reader.readuntil(b"\r\n\r\n")
        raw.writer.write(answer)
        await raw.reader.read()

    async with listening(serve) as url, dialling() as alice:
        with pytest.raises(UnreachableError):
            await alice.dial(BOB, url)


# Strangers in numbers


@pytest.fixture
def narrow(bob: Bob) -> Iterator[Door]:
    assert bob.wires._arrivals is not None
    door = bob.wires._arrivals.door = Door(places=8, share=3, reserve=2)
    yield door
    bob.wires._arrivals.door = Door()


async def open_all(bob: Bob, stack: AsyncExitStack, host: str, count: int) -> list[Raw]:
    return [await stack.enter_async_context(bob.raw(host)) for _ in range(count)]


async def test_silent_sockets_of_one_address_leave_room_for_others(bob: Bob, narrow: Door) -> None:
    async with AsyncExitStack() as stack:
        await open_all(bob, stack, "127.0.0.2", 3)
        (late,) = await open_all(bob, stack, "127.0.0.2", 1)
        assert b" 503 " in await late.reader.readline()
        async with bob.raw("127.0.0.3") as honest:
            await honest.shake()


async def test_silent_sockets_of_all_addresses_leave_a_place_for_who_is_known(
    bob: Bob, narrow: Door
) -> None:
    async with AsyncExitStack() as stack:
        async with bob.raw("127.0.0.9") as friend:
            await friend.shake()
        for number in range(2, 6):
            await open_all(bob, stack, f"127.0.0.{number}", 2)
        async with bob.raw("127.0.0.8") as stranger:
            assert b" 503 " in await stranger.reader.readline()
        async with bob.raw("127.0.0.9") as friend:
            await friend.shake()


async def test_who_says_nothing_loses_its_place(
    bob: Bob, narrow: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "PATIENCE", 0.05)
    monkeypatch.setattr(door, "HURRY", 0.05)
    async with bob.raw() as silent, bob.raw() as half, bob.raw() as upgraded:
        half.writer.write(UPGRADE[:50])
        upgraded.writer.write(UPGRADE)
        assert b" 408 " in await silent.reader.readline()
        assert b" 408 " in await half.reader.readline()
        await upgraded.reader.readuntil(b"\r\n\r\n")
        assert await upgraded.closed() == 4408
        assert len(narrow) == 0
    monkeypatch.undo()


async def test_the_places_are_given_back(bob: Bob, narrow: Door) -> None:
    for _ in range(10):
        async with bob.raw() as raw:
            await raw.shake()
            sink = await bob.sinks.get()
        async with bob.raw() as raw:
            raw.writer.write(b"no\r\n\r\n")
            await raw.reader.read()
        await sink.gone.wait()
    async with asyncio.timeout(60):
        while len(narrow):  # noqa: ASYNC110  nobody is told when a place is given back
            await asyncio.sleep(0)


async def test_descriptors_are_left_for_others(bob: Bob, monkeypatch: pytest.MonkeyPatch) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = arrivals.SPARE_DESCRIPTORS + 8
    monkeypatch.setattr(tcp.resource, "getrlimit", lambda what: (few, hard))
    async with AsyncExitStack() as stack:
        raws = await open_all(bob, stack, "127.0.0.2", 8)
        assert b" 503 " in await raws[-1].reader.readline()
    monkeypatch.undo()


async def test_accepting_without_descriptors_neither_spins_nor_ends(
    bob: Bob, caplog: pytest.LogCaptureFixture
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    sock = socket.socket()
    sock.setblocking(False)
    resource.setrlimit(resource.RLIMIT_NOFILE, (sock.fileno() + 1, hard))
    try:
        with suppress(BlockingIOError):
            sock.connect(("127.0.0.1", bob.port))
        await turns(200)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        sock.close()
    assert len(caplog.records) < 5
    caplog.clear()


async def test_a_thousand_strangers_are_two_lines_in_the_log(
    bob: Bob, narrow: Door, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            async with bob.raw() as raw:
                raw.writer.write(b"no\r\n\r\n")
                await raw.reader.read()
    assert len([record for record in caplog.records if "turned away" in record.message]) == 1


# What is dialled


@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1:{port}/latest/meta-data",
        "ws://127.0.0.1:{port}/v1/wire?a",
        "ws://127.0.0.1:{port}/v1/wire#a",
        "ws://user:pass@127.0.0.1:{port}/v1/wire",
        "http://127.0.0.1:{port}/v1/wire",
        "ws://a..b:{port}/v1/wire",
    ],
)
async def test_an_address_that_is_more_than_a_place_is_not_dialled(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        async with dialling() as alice:
            with pytest.raises(UnreachableError):
                await alice.dial(BOB, url.format(port=listener.getsockname()[1]))
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_the_loopback_is_not_dialled_where_nothing_else_is_on_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        async with dialling(AddressRule()) as alice:
            for host in ("127.0.0.1", "127.1", "2130706433", "localhost", "[::ffff:127.0.0.1]"):
                with pytest.raises(UnreachableError):
                    await alice.dial(BOB, f"ws://{host}:{port}{PATH}")
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_a_peer_on_the_loopback_dials_the_loopback(bob: Bob) -> None:
    near = WebSocketWires(
        self_id=ALICE, listen="127.0.0.1:0", on_wire=lambda wire: None, secret=None
    )
    async with near:
        await (await near.dial(BOB, bob.wires.address)).close()
    afar = WebSocketWires(self_id=ALICE, listen=None, on_wire=lambda wire: None, secret=None)
    async with afar:
        afar.address_from("10.0.0.1")
        with pytest.raises(UnreachableError, match="may not be dialled"):
            await afar.dial(BOB, bob.wires.address)
        afar.address_from("127.0.0.1")  # signaling is reached over it
        await (await afar.dial(BOB, bob.wires.address)).close()


async def test_what_is_dialled_is_what_was_looked_at(
    bob: Bob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name whose second answer would be another address is asked once."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[tcp.Address]:
        asked.append(host)
        address = "192.0.2.1" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, bob.port))]

    monkeypatch.setattr(tcp, "resolve", resolve)
    monkeypatch.setattr(tcp, "ADDRESS_SECONDS", 0.05)
    async with dialling(AddressRule()) as alice:
        with pytest.raises(UnreachableError):
            await alice.dial(BOB, f"ws://rebinding.example:{bob.port}{PATH}")
    assert asked == ["rebinding.example"]
    assert bob.sinks.empty()


async def test_of_several_addresses_those_that_may_not_be_dialled_are_left_out(
    bob: Bob, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = socket.AF_INET, socket.SOCK_STREAM, 6, ""

    async def resolve(host: str, port: int) -> list[tcp.Address]:
        refused = ("169.254.169.254", "224.0.0.1", "0.0.0.0")
        return [(*stream, (address, port)) for address in (*refused, "127.0.0.1")]

    monkeypatch.setattr(tcp, "resolve", resolve)
    async with dialling() as alice:
        for _ in range(10):  # in any order
            await (await alice.dial(BOB, f"ws://several.example:{bob.port}{PATH}")).close()
