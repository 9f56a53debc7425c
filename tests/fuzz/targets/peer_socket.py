"""A peer's WebSocket port as a stranger's bytes go through it: the framing library, and the wire.

The library takes exceptions for its own and closes: what it has swallowed is seen by the close code
of the wire, which tells a failure on this side from a rule that the far side broke.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from functools import cache
from typing import Any

from actr_peer.errors import PeerError
from actr_peer.protocol.websocket import lane_frames
from actr_peer.protocol.websocket.handshake import ListenerHandshake
from actr_peer.protocol.websocket.masked import head
from actr_peer.protocol.websocket.upgrade import Accept
from actr_peer.protocol.wire.close_codes import CloseCode
from actr_peer.wire.websocket.framing import ListenerFraming
from actr_peer.wire.websocket.wire import WebSocketWire
from tests.fuzz.engine import Target
from tests.fuzz.mutation import Form, apart, series
from tests.fuzz.targets import known
from tests.fuzz.targets.peer_wire import KEY, spoken

MAX_SENT = 64 * 1024
"""That one side may say to some kilobytes of a stranger."""


class Pipe(asyncio.Transport):
    """The connection below: what is written to it is kept."""

    def __init__(self) -> None:
        super().__init__({"peername": ("10.0.0.1", 9), "socket": below()})
        self.sent = bytearray()
        self.is_gone = False

    def write(self, data: Any) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self.is_gone

    def close(self) -> None:
        self.is_gone = True

    def abort(self) -> None:
        self.is_gone = True

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_reading(self) -> bool:
        return True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None: ...


class Owner:
    """Who made the wire."""

    def connected(self, wire: WebSocketWire) -> None: ...

    def settled(self, wire: WebSocketWire, error: PeerError | None) -> None:
        if error is None:
            wire.attach(self)  # type: ignore[arg-type]  # a sink, too

    def gone(self, wire: WebSocketWire) -> None: ...

    # The sink

    def message(self, wire: WebSocketWire, channel: int, data: bytes) -> None: ...

    def writable(self, wire: WebSocketWire) -> None: ...

    def closed(self, wire: WebSocketWire, error: PeerError | None) -> None: ...


@cache
def below() -> socket.socket:
    """A socket that is asked for its options, and nothing else."""
    return socket.socket()


def stranger(data: bytes) -> None:
    """Bytes after the upgrade, in the pieces of a series."""
    known.loop().run_until_complete(_stranger(apart(data)))


async def _stranger(pieces: list[bytes]) -> None:
    handshake = ListenerHandshake(local=known.ME, nonce=known.NONCE, secret=None)
    wire = WebSocketWire(handshake, Owner())
    framing = ListenerFraming(wire, wire, Accept(KEY))
    pipe = Pipe()
    framing.connection_made(pipe)
    try:
        framing.begin(pieces[0] if pieces else b"")
        for piece in pieces[1:]:
            _read(framing, pipe, piece)
        await asyncio.sleep(0)
    finally:
        wire.abort()
        framing.connection_lost(None)
        await asyncio.sleep(0)
    assert CloseCode.INTERNAL.to_bytes(2, "big") + b"failure" not in pipe.sent
    assert len(pipe.sent) < MAX_SENT


def _read(framing: ListenerFraming, pipe: Pipe, data: bytes) -> None:
    while data and not pipe.is_gone:
        room = framing.get_buffer(-1)
        size = min(len(room), len(data))
        room[:size] = data[:size]
        framing.buffer_updated(size)
        data = data[size:]


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes((opcode,)) + length + bytes(4) + payload


def _sockets() -> Iterable[bytes]:
    said = next(iter(spoken()))
    shaken = [_frame(0x82, lane_frames.encode(255, step)) for step in said[:3:2]]
    yield series(shaken)
    yield series([*shaken, _frame(0x82, lane_frames.encode(1, b"message"))])
    long = lane_frames.encode(0, bytes(9000))
    yield series([*shaken, head(len(long), bytes(4)) + long])
    yield series([_frame(0x89, b"ping"), _frame(0x88, b"\x03\xe8bye")])
    yield series([_frame(0x02, b"\xff\0"), _frame(0x00, b"\0\0"), _frame(0x80, b"\1x")])
    yield series([shaken[0][:5], shaken[0][5:] + shaken[1][:3], shaken[1][3:]])
    yield series([_frame(0x81, b"text")])


TARGETS = (
    Target(
        name="peer.socket",
        run=stranger,
        seeds=_sockets,
        allowed=(),
        forms=(Form.SERIES,),
        tokens=(
            b"\x82\x80\0\0\0\0",
            b"\x82\xfe",
            b"\x82\xff",
            b"\x88\x82\0\0\0\0",
            b"\xff\0\0\0\1",
        ),
        most=20_000,
        steps=(12_000, 60),
    ),
)
