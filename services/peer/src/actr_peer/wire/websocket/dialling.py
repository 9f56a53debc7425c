"""One attempt to dial a WebSocket wire: addresses that may be tried, the upgrade, the handshake."""

from __future__ import annotations

import socket
import ssl
from asyncio import BaseTransport, BufferedProtocol, Event, Future, Transport, get_running_loop
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from actr_peer.errors import PeerError, RemoteProtocolError
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.protocol.websocket.proofs import WAYS, Requirement, Way
from actr_peer.protocol.websocket.upgrade import (
    PATH,
    Head,
    Refusal,
    check_answer,
    plain_answer,
    step_headers,
)
from actr_peer.wire import tcp
from actr_peer.wire.websocket.framing import Framing
from actr_peer.wire.websocket.tls.contexts import binding, dialler_context, peer_key
from actr_peer.wire.websocket.tls.sealed import Sealed, SealError
from actr_peer.wire.websocket.wire import WebSocketWire

READ_BYTES = 4096


class Seal(NamedTuple):
    """What a dialler needs for the TLS of an actor."""

    told: Callable[[bytes, bytes], bytes]
    """Given the raw key of the listener and what only this TLS has; returns a proof for it."""
    raw: memoryview
    """Where ciphertext is read to (``tls/sealed.py``)."""


class Dial:
    """Owns its socket until the wire has it, and hears how the handshake ends.

    Args:
        wires: Where the wire is kept while it is connected.
        rule: Which addresses are tried; the address is another actor's word.
        requires: What the far side has to prove.
        seal: What the actor's own TLS needs; None: this side has no certificate, and takes TLS for
            that of a proxy.
        path: Of what is dialled, and the only one that its address may have.
    """

    def __init__(
        self,
        wires: set[WebSocketWire],
        rule: AddressRule,
        requires: Requirement = Requirement.NOTHING,
        seal: Seal | None = None,
        path: str = PATH,
    ) -> None:
        self.done = Event()
        self.error: PeerError | None = None
        self.is_kept = False
        self._wires = wires
        self._rule = rule
        self._requires = requires
        self._seal = seal
        self._path = path
        self._socket: socket.socket | None = None

    async def connect(self, wire: WebSocketWire, url: str) -> None:
        """Connect and upgrade; OSError and ValueError say why not.

        Raises:
            RemoteProtocolError: If the far side's TLS is not an actor's.
        """
        if not tcp.is_websocket_url(url):
            raise ValueError("not a ws:// or wss:// address")
        parts = urlsplit(url)
        if (
            parts.path not in ("", "/", self._path)
            or parts.query
            or parts.fragment
            or "@" in parts.netloc
        ):
            raise ValueError(f"more than a host, a port and {self._path}")
        way = WAYS[self._requires, self._seal is not None, parts.scheme]
        if way is Way.REFUSED:
            raise ValueError("not TLS, which is required here: the address is to begin with wss://")
        host, port = parts.hostname or "", parts.port or (80 if way is Way.PLAIN else 443)
        self._socket = await tcp.connect(host, port, admits=self._rule.admits)
        is_named = way is Way.BY_NAME
        seal = self._seal if way is Way.BY_KEY else None
        asking = _Asking(wire, tcp.authority(host, port), self._path, seal)
        await get_running_loop().create_connection(
            asking.protocol,
            sock=self._socket,
            ssl=ssl.create_default_context() if is_named else None,
            server_hostname=host if is_named else None,
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

    def __init__(self, wire: WebSocketWire, authority: str, path: str, seal: Seal | None) -> None:
        self.upgraded: Future[None] = get_running_loop().create_future()
        self._wire = wire
        self._authority, self._path = authority, path
        self._framing: Framing | None = None
        self._transport: Transport | None = None
        self._head = Head()
        self._buffer = bytearray(READ_BYTES)
        self._seal = seal

    def protocol(self) -> BufferedProtocol:
        """What the socket is given to: TLS by key first, where it is dialled so."""
        if self._seal is None:
            return self
        return Sealed(dialler_context(), self, self._seal.raw, is_listener=False)

    def connection_made(self, transport: BaseTransport) -> None:
        self._transport = cast("Transport", transport)
        proof = b""
        if self._seal is not None:
            try:
                key = peer_key(transport.get_extra_info("ssl_object"))
                proof = self._seal.told(key, binding(transport))
            except RemoteProtocolError as exc:
                self._fail(exc)
                self._transport.abort()
                return
        headers = step_headers(self._wire.hello, proof)
        dialled = f"{self._authority}{self._path}"
        self._framing = Framing(self._wire, self._wire, dialled=dialled, headers=headers)
        self._framing.connection_made(transport)  # writes the request

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        assert self._transport is not None
        assert self._framing is not None
        key = self._framing.transport.request.headers["Sec-WebSocket-Key"]
        try:
            whole = self._head.feed(memoryview(self._buffer)[:nbytes])
            if whole is None:
                return
            if check_answer(whole[0], key):
                self._wire.hello = b""
        except (Refusal, RemoteProtocolError) as exc:
            self._fail(ConnectionAbortedError(str(exc)))
            self._transport.abort()
            return
        self._transport.set_protocol(self._framing)
        if not self.upgraded.done():
            self.upgraded.set_result(None)
        self._framing.feed(plain_answer(key) + whole[1])

    def connection_lost(self, exc: Exception | None) -> None:
        lost = ConnectionAbortedError("the connection was lost in the upgrade")
        self._fail(exc if isinstance(exc, SealError) else lost)

    def _fail(self, why: Exception) -> None:
        if not self.upgraded.done():
            self.upgraded.set_exception(why)
            self.upgraded.exception()  # seen, also where nobody waits any more
