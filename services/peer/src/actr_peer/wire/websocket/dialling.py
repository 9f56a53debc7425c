"""One attempt to dial a WebSocket wire: addresses that may be tried, the upgrade, the handshake."""

from __future__ import annotations

import socket
import ssl
from asyncio import BaseTransport, BufferedProtocol, Event, Future, Transport, get_running_loop
from contextlib import suppress
from typing import cast
from urllib.parse import urlsplit

from actr_peer.errors import PeerError, RemoteProtocolError
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.protocol.websocket.upgrade import PATH, Head, Refusal, check_answer, plain_answer
from actr_peer.wire import tcp
from actr_peer.wire.websocket.framing import Framing
from actr_peer.wire.websocket.wire import WebSocketWire

READ_BYTES = 4096


class Dial:
    """Owns its socket until the wire has it, and hears how the handshake ends.

    Args:
        wires: Where the wire is kept while it is connected.
        rule: Which addresses are tried; the address is another actor's word.
    """

    def __init__(self, wires: set[WebSocketWire], rule: AddressRule) -> None:
        self.done = Event()
        self.error: PeerError | None = None
        self.is_kept = False
        self._wires = wires
        self._rule = rule
        self._socket: socket.socket | None = None

    async def connect(self, wire: WebSocketWire, url: str) -> None:
        """Connect and upgrade; OSError and ValueError say why not."""
        if not tcp.is_websocket_url(url):
            raise ValueError("not a ws:// or wss:// address")
        parts = urlsplit(url)
        if (
            parts.path not in ("", "/", PATH)
            or parts.query
            or parts.fragment
            or "@" in parts.netloc
        ):
            raise ValueError(f"more than a host, a port and {PATH}")
        is_secure = parts.scheme == "wss"
        host, port = parts.hostname or "", parts.port or (443 if is_secure else 80)
        self._socket = await tcp.connect(host, port, admits=self._rule.admits)
        asking = _Asking(wire, tcp.authority(host, port))
        await get_running_loop().create_connection(
            lambda: asking,
            sock=self._socket,
            ssl=ssl.create_default_context() if is_secure else None,
            server_hostname=host if is_secure else None,
        )
        await asking.upgraded

    def give_up(self, wire: WebSocketWire) -> None:
        wire.abort()
        if self._socket is not None:
            with suppress(OSError):  # closed already
                # Its transport, if it has one by now, then closes itself.
                self._socket.shutdown(socket.SHUT_RDWR)

    def connected(self, wire: WebSocketWire) -> None:
        self._wires.add(wire)

    def settled(self, wire: WebSocketWire, error: PeerError | None) -> None:
        self.error = error
        self.done.set()

    def gone(self, wire: WebSocketWire) -> None:
        self._wires.discard(wire)


class _Asking(BufferedProtocol):
    """Asks the listener to upgrade, and gives the connection to the framing when it does."""

    def __init__(self, wire: WebSocketWire, authority: str) -> None:
        self.upgraded: Future[None] = get_running_loop().create_future()
        self._framing = Framing(wire, wire, authority=authority)
        self._transport: Transport | None = None
        self._head = Head()
        self._buffer = bytearray(READ_BYTES)

    def connection_made(self, transport: BaseTransport) -> None:
        self._transport = cast("Transport", transport)
        self._framing.connection_made(transport)  # writes the request

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        assert self._transport is not None
        key = self._framing.transport.request.headers["Sec-WebSocket-Key"]
        try:
            whole = self._head.feed(memoryview(self._buffer)[:nbytes])
            if whole is None:
                return
            check_answer(whole[0], key)
        except (Refusal, RemoteProtocolError) as exc:
            self._fail(str(exc))
            self._transport.abort()
            return
        self._transport.set_protocol(self._framing)
        if not self.upgraded.done():
            self.upgraded.set_result(None)
        self._framing.feed(plain_answer(key) + whole[1])

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the connection was lost in the upgrade")

    def _fail(self, why: str) -> None:
        if not self.upgraded.done():
            self.upgraded.set_exception(ConnectionAbortedError(why))
            self.upgraded.exception()  # seen, also where nobody waits any more
