"""Every WebSocket wire of a process: one listener, any number of dialled ones."""

from __future__ import annotations

import secrets
import socket
from asyncio import TaskGroup, timeout
from collections.abc import Callable, Collection
from dataclasses import replace
from types import TracebackType
from typing import Self

from actr_peer.errors import UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.webrtc.candidates import DEFAULT_RULE, AddressRule
from actr_peer.protocol.websocket.handshake import NONCE_BYTES, DiallerHandshake, ListenerHandshake
from actr_peer.protocol.websocket.upgrade import PATH
from actr_peer.tasks import Tasks
from actr_peer.wire import tcp
from actr_peer.wire.base import Wire
from actr_peer.wire.websocket.arrivals import Arrivals
from actr_peer.wire.websocket.dialling import Dial
from actr_peer.wire.websocket.wire import Owner, WebSocketWire

DIAL_SECONDS = 5.0

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
        rule: Which addresses are dialled. The loopback is one of them, whatever the rule says,
            while this process is known to others by it or reaches signaling over it.
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
        rule: AddressRule = DEFAULT_RULE,
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
        self._socket: socket.socket | None = None
        self._tasks = Tasks("websocket")
        self._bound: tuple[socket.AddressFamily, str, int] | None = None
        self._arrivals: Arrivals | None = None
        self._rule = rule
        self._is_local = False
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
        self._socket = sock
        sock.listen(tcp.BACKLOG)
        self._arrivals = Arrivals(self._make_wire, self._arrived, self._wires.discard)
        await self._tasks.__aenter__()
        serving = self._arrivals.serve(sock)
        self._tasks.start("accept", serving, failed=lambda exc: sock.close())
        self._bound = sock.family, host, port
        if host in _WILDCARDS:
            host = await tcp.address_towards(self._towards) if self._towards else tcp.LOOPBACK
        self.address = self._advertise or f"ws://{tcp.authority(host, port)}{PATH}"
        self._is_local = tcp.is_loopback(host)
        return self

    def address_from(self, local_host: str) -> str:
        """Return how others dial this process, found anew; empty without a listener.

        Args:
            local_host: This machine's address on the interface that reaches the others.
        """
        self._is_local = tcp.is_loopback(local_host)
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
        if self._socket is not None:
            await self._tasks.__aexit__(None, None, None)
            self._socket.close()
        if self._arrivals is not None:
            self._arrivals.close()
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
            UnreachableError: If ``url`` may not be dialled, nobody answers there within 5 s, or
                the one who does refuses.
            RemoteProtocolError: If the far side breaks the handshake or does not prove that it
                has the realm secret.
        """
        dial = Dial(self._wires, self._address_rule())
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
        except (OSError, ValueError) as exc:
            raise UnreachableError(str(remote), f"{url}: {exc}") from exc
        finally:
            if not dial.is_kept:  # also where it opened in the turn that cancels
                dial.give_up(wire)
        return wire

    # Of the arrivals

    def _make_wire(self, owner: Owner) -> WebSocketWire:
        handshake = ListenerHandshake(
            local=self._self_id,
            nonce=secrets.token_bytes(NONCE_BYTES),
            secret=self._secret,
            allowed_realms=self._allowed_realms,
        )
        return WebSocketWire(handshake, owner)

    def _arrived(self, wire: WebSocketWire) -> None:
        self._wires.add(wire)
        self._on_wire(wire)

    def _address_rule(self) -> AddressRule:
        """The rule, with the loopback where this process is reached or reaches others by it."""
        rule = self._rule
        return replace(rule, allow_loopback=True) if self._is_local else rule
