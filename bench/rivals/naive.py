"""The libraries below our wires, used as one would without thinking of priorities.

``python -m bench.rivals.naive KIND`` is the far side: it counts bulk messages and echoes the urgent
ones. :func:`connected` is the near side, in the benchmark's own process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import uvloop
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_connect,
    ws_create_server,
)

from bench.rivals.library import is_open
from lab.processes import Child

logging.getLogger("picows").setLevel(logging.ERROR)  # a full buffer is the point here

KINDS = ("webrtc", "websocket")
BULK, URGENT, COUNT = b"b", b"u", b"c"
"""First byte of a message: bulk, to be echoed, or asks for word when so many bulk ones came
since it was last asked."""
KEY_BYTES = 9
"""Of an urgent message: its kind and its number, which the echo has too."""
FILLER = bytes(100 - KEY_BYTES)

Send = Callable[[bytes], None]


class Far:
    """Takes bulk messages, answers the others."""

    def __init__(self) -> None:
        self._taken = 0
        self._expected: int | None = None

    def take(self, data: bytes, send: Send) -> None:
        kind = data[:1]
        if kind == URGENT:
            send(data)
            return
        if kind == BULK:
            self._taken += 1
        else:
            self._expected = int(data[1:])
        if self._taken == self._expected:
            self._taken, self._expected = 0, None
            send(COUNT)


class Echoes:
    """The near side of one connection."""

    def __init__(self, bulk: Send, urgent: Send) -> None:
        self._bulk = bulk
        self._urgent = urgent
        self._waiters: dict[bytes, asyncio.Future[None]] = {}
        self._numbers = count()

    def take(self, data: bytes) -> None:
        """An answer came."""
        waiter = self._waiters.pop(data[:KEY_BYTES], None)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def send_bulk(self, data: bytes) -> None:
        self._bulk(BULK + data)

    async def ask(self) -> None:
        """One echo of 100 bytes; several may be under way."""
        key = URGENT + next(self._numbers).to_bytes(KEY_BYTES - 1, "big")
        await self._exchange(key, key + FILLER)

    async def taken(self, items: int) -> None:
        """Wait until the far side has taken so many bulk messages."""
        await self._exchange(COUNT, COUNT + str(items).encode())

    async def _exchange(self, key: bytes, message: bytes) -> None:
        waiter = self._waiters[key] = asyncio.get_running_loop().create_future()
        self._urgent(message)
        await waiter


class _Listener(WSListener):
    """picows' side of a connection."""

    def __init__(self, take: Callable[[bytes, Send], None]) -> None:
        super().__init__()
        self._take = take
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.BINARY:
            self._take(frame.get_payload_as_bytes(), self.send)

    def send(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.send(WSMsgType.BINARY, data)


def _peer_connection() -> tuple[RTCPeerConnection, RTCDataChannel, RTCDataChannel]:
    connection = RTCPeerConnection(
        RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    )
    bulk, urgent = (
        connection.createDataChannel(name, negotiated=True, id=number)
        for number, name in enumerate(("bulk", "urgent"))
    )
    return connection, bulk, urgent


@asynccontextmanager
async def connected(kind: str, far: Child) -> AsyncIterator[Echoes]:
    """A connection to a process of this module."""
    if kind == "websocket":
        port = (await far.line())["port"]
        echoes: Echoes | None = None

        def take(data: bytes, send: Send) -> None:
            assert echoes is not None
            echoes.take(data)

        _, listener = await ws_connect(lambda: _Listener(take), f"ws://127.0.0.1:{port}/")
        assert isinstance(listener, _Listener)
        echoes = Echoes(listener.send, listener.send)
        yield echoes
        assert listener.transport is not None
        listener.transport.disconnect()
        return
    connection, bulk, urgent = _peer_connection()
    await connection.setLocalDescription(await connection.createOffer())
    await far.tell(sdp=connection.localDescription.sdp)
    answer = (await far.line())["sdp"]
    echoes = Echoes(bulk.send, urgent.send)
    urgent.on("message", echoes.take)
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await is_open(urgent)
    yield echoes
    await connection.close()


def _say(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


async def main(kind: str) -> None:
    """Be the far side until standard input ends."""
    far = Far()
    orders = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    if kind == "websocket":

        def accept(request: WSUpgradeRequest) -> WSListener:
            return _Listener(far.take)

        server = await ws_create_server(accept, "127.0.0.1", 0)
        _say(port=server.sockets[0].getsockname()[1])
        await orders.readline()
        server.close()
        return
    connection, bulk, urgent = _peer_connection()
    for channel in (bulk, urgent):
        channel.on("message", lambda data: far.take(data, urgent.send))
    offer = json.loads(await orders.readline())["sdp"]
    await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    _say(sdp=connection.localDescription.sdp)
    await orders.readline()
    await connection.close()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
