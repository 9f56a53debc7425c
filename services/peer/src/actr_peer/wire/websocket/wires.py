"""Every WebSocket wire of a process: one listener, any number of dialled ones."""

from __future__ import annotations

import logging
import secrets
import socket
from asyncio import TaskGroup, get_running_loop, timeout
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from http import HTTPStatus
from ssl import SSLContext
from types import TracebackType
from typing import Self

from actr_peer.errors import CertificateError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.webrtc.candidates import DEFAULT_RULE, AddressRule
from actr_peer.protocol.websocket.door import Door, Sparing
from actr_peer.protocol.websocket.handshake import (
    NONCE_BYTES,
    DiallerHandshake,
    ListenerHandshake,
    Outcome,
)
from actr_peer.protocol.websocket.proofs import Requirement, cause_of, required
from actr_peer.protocol.websocket.refusals import Refused
from actr_peer.protocol.websocket.upgrade import PATH, Accept, Refusal, judge
from actr_peer.protocol.wire.addresses import is_loopback
from actr_peer.tasks import Tasks
from actr_peer.wire import tcp
from actr_peer.wire.base import Wire
from actr_peer.wire.websocket.arrivals import Arrivals
from actr_peer.wire.websocket.dialling import Dial, Seal
from actr_peer.wire.websocket.tls.contexts import listener_context, raw_public_key
from actr_peer.wire.websocket.tls.sealed import RAW_BYTES
from actr_peer.wire.websocket.wire import Owner, WebSocketWire

log = logging.getLogger(__name__)

DIAL_SECONDS = 5.0

_WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104  recognised, not bound


class WebSocketWires:
    """Listens for wires and dials them; leaving the block closes all of them.

    Args:
        self_id: Who this process is.
        listen: ``host:port`` to listen on, port 0 for any free one; None: dial only.
        on_wire: Given each wire that a far side dialled, its handshake done. It attaches a sink.
        secret: The realm secret; None: development mode, no proof is asked for or checked.
        certified: What this process has to prove itself by certificate; None: nothing. Where it is
            required of others the listener speaks TLS only, and only TLS is dialled.
        advertise: ``ws://`` address by which others reach the listener; None: made from the
            address listened on, or for all addresses from the one that reaches ``towards``. It is
            told as ``wss://`` where the listener speaks TLS; one that is ``wss://`` already is of a
            proxy that does.
        towards: URL of the signaling service.
        allowed_realms: Realms besides its own whose actors may dial.
        allowed_origins: Of web pages that may dial (``protocol/websocket/origins.py``).
        refused: Told who some far side said it was, or was dialled as, and why it is not believed;
            once in ten seconds, for strangers may come as often as they like.
        rule: Which addresses are dialled. The loopback is one of them, whatever the rule says,
            while this process is known to others by it or reaches signaling over it.

    Attributes:
        refused: Far sides of which none was believed, by the cause; pages of another origin.
    """

    def __init__(
        self,
        *,
        self_id: ActrId,
        listen: str | None,
        on_wire: Callable[[Wire], None],
        secret: bytes | None,
        certified: Certified | None = None,
        advertise: str | None = None,
        towards: str = "",
        allowed_realms: Collection[str] = (),
        allowed_origins: Collection[str] = (),
        refused: Callable[[ActrId, str], None] = lambda actor, why: None,
        rule: AddressRule = DEFAULT_RULE,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self.door = Door()
        self.address = ""
        """How others dial this process; empty without a listener."""
        self._self_id = self_id
        self._listen = None if listen is None else tcp.parse_listen(listen)
        self._on_wire = on_wire
        self._secret = secret
        self._certified = certified
        self._requires = required(secret, certified)
        self._is_sealed = self._requires is Requirement.CERTIFICATE
        self._scheme = "wss" if self._is_sealed else "ws"
        self._tls_key = b""
        self._raw = memoryview(bytearray(0 if certified is None else RAW_BYTES))
        self._advertise = advertise
        if advertise and self._is_sealed:
            self._advertise = "wss:" + advertise.partition(":")[2]
        self._towards = towards
        self._allowed_realms, self._allowed_origins = allowed_realms, allowed_origins
        self._socket: socket.socket | None = None
        self._tasks = Tasks("websocket")
        self._bound: tuple[socket.AddressFamily, str, int] | None = None
        self._arrivals: Arrivals | None = None
        self._rule = rule
        self._tell_refused, self._telling = refused, Sparing()
        self._is_local = False
        self._wires: set[WebSocketWire] = set()

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            BusyError: If another program has the port.
            ConfigError: If the address cannot be listened on.
        """
        if self._certified is not None:
            _believe_oneself(self._certified)
        if self._listen is None:
            return self
        host, port = self._listen
        sock = await tcp.listen(host, port)
        port = sock.getsockname()[1]
        self._socket = sock
        sock.listen(tcp.BACKLOG)
        context = self._tls_context() if self._is_sealed else None
        upward = self._judge, self._make_wire, self._arrived, self._wires.discard
        self._arrivals = Arrivals(*upward, door=self.door, context=context, raw=self._raw)
        await self._tasks.__aenter__()
        serving = self._arrivals.serve(sock)
        self._tasks.start("accept", serving, failed=lambda exc: sock.close())
        self._bound = sock.family, host, port
        if host in _WILDCARDS:
            host = await tcp.address_towards(self._towards) if self._towards else tcp.LOOPBACK
        self.address = self._advertise or self._address(host, port)
        self._is_local = is_loopback(host)
        return self

    def address_from(self, local_host: str) -> str:
        """Return how others dial this process, found anew; empty without a listener.

        Args:
            local_host: This machine's address on the interface that reaches the others.
        """
        self._is_local = is_loopback(local_host)
        if self._bound is not None and not self._advertise:
            family, host, port = self._bound
            is_v6 = ":" in local_host
            is_usable = "%" not in local_host and (family is socket.AF_INET6 or not is_v6)
            if host in _WILDCARDS and is_usable:
                self.address = self._address(local_host, port)
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

    def wires(self) -> list[WebSocketWire]:
        """Those that are open."""
        return [wire for wire in self._wires if wire.is_open]

    async def dial(self, remote: ActrId, url: str) -> WebSocketWire:
        """Return a wire to ``remote``, which listens at ``url``, with its handshake done.

        Cancelling gives the attempt up and leaves nothing open.

        Raises:
            UnreachableError: If ``url`` may not be dialled, nobody answers there within 5 s, or
                the one who does refuses.
            RemoteProtocolError: If the far side breaks the handshake or does not prove what is
                required here: a CertificateError says what is wrong with its certificate.
        """
        handshake = DiallerHandshake(
            local=self._self_id,
            remote=remote,
            nonce=secrets.token_bytes(NONCE_BYTES),
            secret=self._secret,
            certified=self._certified,
        )
        seal = None if self._certified is None else Seal(handshake.sealed, self._raw)
        dial = Dial(self._wires, self._address_rule(), self._requires, seal)
        wire = WebSocketWire(
            handshake,
            dial,
            remote=remote,
            hello=handshake.start(),
            certified=self._certified,
        )
        try:
            async with timeout(DIAL_SECONDS):
                await dial.connect(wire, url)
                await dial.done.wait()
            if dial.error is not None:
                self._disbelieve(remote, cause_of(dial.error), str(dial.error))
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

    def _judge(self, head: bytes) -> Accept | Refusal:
        verdict = judge(head, self._allowed_origins)
        if isinstance(verdict, Refusal) and verdict.status is HTTPStatus.FORBIDDEN:
            self.refused["origin"] += 1
        return verdict

    def _make_wire(self, owner: Owner, nonce: bytes) -> WebSocketWire:
        handshake = ListenerHandshake(
            local=self._self_id,
            nonce=nonce or secrets.token_bytes(NONCE_BYTES),
            secret=self._secret,
            allowed_realms=self._allowed_realms,
            certified=self._certified,
            tls_key=self._tls_key,
        )
        judged = _Judged(handshake, self._disbelieve)
        return WebSocketWire(judged, owner, certified=self._certified)

    def _disbelieve(self, actor: ActrId, cause: str, why: str) -> None:
        """Count a far side that is not who it should be; an empty cause is something else."""
        if cause:
            self.refused[cause] += 1
            if self._telling.take(get_running_loop().time()) is not None:
                self._tell_refused(actor, why)

    def _arrived(self, wire: WebSocketWire) -> None:
        self._wires.add(wire)
        self._on_wire(wire)

    def _tls_context(self) -> SSLContext:
        assert self._certified is not None
        self._tls_key = raw_public_key(self._certified.identity)
        return listener_context(self._certified.identity)

    def _address(self, host: str, port: int) -> str:
        return f"{self._scheme}://{tcp.authority(host, port)}{PATH}"

    def _address_rule(self) -> AddressRule:
        """The rule, with the loopback where this process is reached or reaches others by it."""
        rule = self._rule
        return replace(rule, allow_loopback=True) if self._is_local else rule


class _Judged:
    """A listener's handshake, of which somebody hears who was not believed."""

    def __init__(
        self, handshake: ListenerHandshake, refused: Callable[[ActrId, str, str], None]
    ) -> None:
        self._handshake, self._refused = handshake, refused

    def receive(self, data: bytes) -> Outcome:
        outcome = self._handshake.receive(data)
        if isinstance(outcome, Refused) and outcome.claimed is not None:
            self._refused(outcome.claimed, outcome.cause, outcome.why)
        return outcome


def _believe_oneself(certified: Certified) -> None:
    """Check the own certificate: who would not take it is not alone, and what a check loads (a
    tenth of a second) is there before the first wire."""
    own = certified.identity.certificate
    if not own:
        return
    try:
        certified.verify(own.encode())
    except CertificateError as exc:
        log.warning("others may not believe this actor, for it would not itself: cause=%s", exc)
