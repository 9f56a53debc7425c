"""Every WebSocket wire of a process: one listener, any number of dialled ones (spec 3.1)."""

from __future__ import annotations

import logging
import secrets
import socket
from asyncio import Event, Server, TaskGroup, timeout
from collections.abc import Callable, Collection
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from picows import (
    WSError,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_connect,
    ws_create_server,
)

from actr_peer.errors import PeerError, UnreachableError
from actr_peer.protocol.handshake import NONCE_BYTES, DiallerHandshake, ListenerHandshake
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.lane_frames import MAX_FRAME_BYTES
from actr_peer.wire import tcp
from actr_peer.wire.base import Wire
from actr_peer.wire.websocket_wire import WebSocketWire

PATH = "/v1/wire"
DIAL_SECONDS = 5.0
UPGRADE_SECONDS = 5.0
MAX_GREETING = 64
"""Sockets that have not proved who they are; more are turned away with 503."""

# The library logs every connection, and a far side's mistakes as errors of ours.
_QUIET = logging.Logger("actr_peer.wire.picows", logging.CRITICAL)  # noqa: LOG001
_WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104  recognised, not bound


class WebSocketWires:
    """Listens for wires and dials them; leaving the block closes all of them.

    Args:
        self_id: Who this process is.
        listen: ``host:port`` to listen on, port 0 for any free one; None: dial only.
        on_wire: Given each wire that a far side dialled, its handshake done. It attaches a sink.
        secret: The realm secret; None: development mode, no proof is asked for or checked.
        advertise: ``ws://`` address by which others reach the listener; None: made from the
            address listened on, or for all addresses from the one that reaches ``towards``.
        towards: URL of the signaling service.
        allowed_realms: Realms besides its own whose actors may dial.
    """

    def __init__(
        self,
        *,
        self_id: ActrId,
        listen: str | None,
        on_wire: Callable[[Wire], None],
        secret: bytes | None,
        advertise: str | None = None,
        towards: str = "",
        allowed_realms: Collection[str] = (),
    ) -> None:
        self.address = ""
        """How others dial this process; empty without a listener."""
        self._self_id = self_id
        self._listen = None if listen is None else tcp.parse_listen(listen)
        self._on_wire = on_wire
        self._secret = secret
        self._advertise = advertise
        self._towards = towards
        self._allowed_realms = allowed_realms
        self._server: Server | None = None
        self._bound: tuple[socket.AddressFamily, str, int] | None = None
        self._greeting: set[WebSocketWire] = set()
        self._wires: set[WebSocketWire] = set()

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            BusyError: If another program has the port.
            ConfigError: If the address cannot be listened on.
        """
        if self._listen is None:
            return self
        host, port = self._listen
        sock = await tcp.listen(host, port)
        port = sock.getsockname()[1]
        self._server = await ws_create_server(
            self._admit,
            sock=sock,
            backlog=tcp.BACKLOG,
            websocket_handshake_timeout=UPGRADE_SECONDS,
            max_frame_size=MAX_FRAME_BYTES,
            logger_name=_QUIET,
        )
        self._bound = sock.family, host, port
        if host in _WILDCARDS:
            host = await tcp.address_towards(self._towards) if self._towards else tcp.LOOPBACK
        self.address = self._advertise or f"ws://{tcp.authority(host, port)}{PATH}"
        return self

    def address_from(self, local_host: str) -> str:
        """Return how others dial this process, found anew; empty without a listener.

        Args:
            local_host: This machine's address on the interface that reaches the others.
        """
        if self._bound is not None and not self._advertise:
            family, host, port = self._bound
            is_v6 = ":" in local_host
            is_usable = "%" not in local_host and (family is socket.AF_INET6 or not is_v6)
            if host in _WILDCARDS and is_usable:
                self.address = f"ws://{tcp.authority(local_host, port)}{PATH}"
        return self.address

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for wire in tuple(self._greeting):
            wire.abort()
        try:
            async with TaskGroup() as group:
                for wire in tuple(self._wires):
                    group.create_task(wire.close(), name=f"websocket/{wire.id}/close")
        finally:
            for wire in tuple(self._wires):
                wire.abort()

    async def dial(self, remote: ActrId, url: str) -> WebSocketWire:
        """Return a wire to ``remote``, which listens at ``url``, with its handshake done.

        Cancelling gives the attempt up and leaves nothing open.

        Raises:
            UnreachableError: If nobody answers there within 5 s, or the one who does refuses.
            RemoteProtocolError: If the far side breaks the handshake or does not prove that it
                has the realm secret.
        """
        dial = _Dial(self._wires)
        handshake = DiallerHandshake(
            local=self._self_id,
            remote=remote,
            nonce=secrets.token_bytes(NONCE_BYTES),
            secret=self._secret,
        )
        wire = WebSocketWire(handshake, dial, remote=remote, hello=handshake.start())
        try:
            async with timeout(DIAL_SECONDS):
                await dial.connect(wire, url)
                await dial.done.wait()
            if dial.error is not None:
                raise dial.error
            dial.is_kept = True
        except TimeoutError as exc:
            why = f"no answer from {url} within {DIAL_SECONDS:g} s"
            raise UnreachableError(str(remote), why) from exc
        except (OSError, WSError, ValueError) as exc:
            raise UnreachableError(str(remote), f"{url}: {exc}") from exc
        finally:
            if not dial.is_kept:  # also where it opened in the turn that cancels
                dial.give_up(wire)
        return wire

    # Of the wires that others dialled (websocket_wire.Owner)

    def connected(self, wire: WebSocketWire) -> None:
        self._greeting.add(wire)

    def settled(self, wire: WebSocketWire, error: PeerError | None) -> None:
        if error is None:
            self._greeting.discard(wire)
            self._wires.add(wire)
            self._on_wire(wire)

    def gone(self, wire: WebSocketWire) -> None:
        self._greeting.discard(wire)
        self._wires.discard(wire)

    def _admit(
        self, request: WSUpgradeRequest
    ) -> WebSocketWire | WSUpgradeResponseWithListener | None:
        """Answer an upgrade request; None is 404."""
        if request.path != PATH.encode():
            return None
        if "Origin" in request.headers:
            # A page in a browser on this machine could otherwise reach a local listener.
            return _turn_away(HTTPStatus.FORBIDDEN, b"browsers may not open a wire")
        if len(self._greeting) >= MAX_GREETING:
            return _turn_away(HTTPStatus.SERVICE_UNAVAILABLE, b"too many unfinished handshakes")
        handshake = ListenerHandshake(
            local=self._self_id,
            nonce=secrets.token_bytes(NONCE_BYTES),
            secret=self._secret,
            allowed_realms=self._allowed_realms,
        )
        return WebSocketWire(handshake, self)


class _Dial:
    """One attempt: owns its socket until the wire has it, and hears how the handshake ends."""

    def __init__(self, wires: set[WebSocketWire]) -> None:
        self.done = Event()
        self.error: PeerError | None = None
        self.is_kept = False
        self._wires = wires
        self._socket: socket.socket | None = None

    async def connect(self, wire: WebSocketWire, url: str) -> None:
        """Connect and upgrade; OSError, WSError and ValueError say why not."""
        if not tcp.is_websocket_url(url):
            raise ValueError("not a ws:// or wss:// address")
        parts = urlsplit(url)
        default_port = 443 if parts.scheme == "wss" else 80
        sock = self._socket = await tcp.connect(parts.hostname or "", parts.port or default_port)
        transport, _ = await ws_connect(
            lambda: wire,
            url,
            socket_factory=lambda _: sock,
            websocket_handshake_timeout=UPGRADE_SECONDS,
            max_frame_size=MAX_FRAME_BYTES,
            max_redirects=0,
            logger_name=_QUIET,
        )
        if transport.response is None:  # the library returns as if all were well
            raise ConnectionResetError("the connection was lost in the upgrade")

    def give_up(self, wire: WebSocketWire) -> None:
        wire.abort()
        if self._socket is not None:
            with suppress(OSError):  # closed already
                # The library may still wait for the upgrade; its transport then closes itself.
                self._socket.shutdown(socket.SHUT_RDWR)

    def connected(self, wire: WebSocketWire) -> None:
        self._wires.add(wire)

    def settled(self, wire: WebSocketWire, error: PeerError | None) -> None:
        self.error = error
        self.done.set()

    def gone(self, wire: WebSocketWire) -> None:
        self._wires.discard(wire)


def _turn_away(status: HTTPStatus, why: bytes) -> WSUpgradeResponseWithListener:
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(status, why), None)
