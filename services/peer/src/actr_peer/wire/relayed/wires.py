"""Every relayed wire of a process: those that it asks for, and those that it is told to come to."""

from __future__ import annotations

import logging
import secrets
from asyncio import TaskGroup, timeout
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from time import monotonic
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from actr_peer.errors import PeerError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.payload import WIRE_MESSAGE_BYTES
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.protocol.webrtc.negotiation import Join, NegotiateMessage
from actr_peer.protocol.webrtc.newcomers import Newcomers
from actr_peer.protocol.websocket.handshake import (
    Accepted,
    DiallerHandshake,
    Handshake,
    ListenerHandshake,
    Outcome,
)
from actr_peer.protocol.websocket.proofs import RELAYED, cause_of
from actr_peer.protocol.websocket.refusals import Refused
from actr_peer.protocol.wire.sealing import KEY_BYTES, Sealing
from actr_peer.tasks import Tasks
from actr_peer.wire.base import Wire
from actr_peer.wire.relayed.wire import RelayedWire
from actr_peer.wire.websocket.dialling import Dial
from actr_peer.wire.websocket.wire import WebSocketWire

log = logging.getLogger(__name__)

DIAL_SECONDS = 5.0
"""For the way to signaling, and for the far side to come and to prove who it is."""
MAX_COMING = 16
"""Wires that others have asked for and that are not open: more of them wait for nobody."""
COMING_FROM_ONE = 2
"""Of these, asked for by one remote: others have theirs all the same."""
NEW_AT_ONCE = 8
"""Asks of one remote: each has this process dial signaling."""
NEW_A_SECOND = 1.0
TICKET_BYTES = 16
_EVERYWHERE = AddressRule(allow_private=True, allow_loopback=True, allow_link_local=True)
"""Signaling is where the operator says."""


class RelayedWires:
    """Leaving the block closes all of them.

    Args:
        self_id: Who this process is.
        url: Of the signaling service, as configured.
        ask: Has signaling tell a remote to come; raises an UnreachableError that says why not.
        on_wire: Given each wire that a far side has asked for, its handshake done.
        secret: The realm secret; None: no proof of it is asked for or made.
        allowed_realms: Realms besides its own of which actors may ask this one.
        certified: What this process has to prove itself by certificate; None: nothing.
        refused: Told who some far side said it was, and why it is not believed.

    Attributes:
        refused: Far sides of which none was believed, by the cause; asks that were too many.
    """

    def __init__(
        self,
        *,
        self_id: ActrId,
        url: str,
        ask: Callable[[ActrId, NegotiateMessage], Awaitable[None]],
        on_wire: Callable[[Wire], None],
        secret: bytes | None,
        allowed_realms: Collection[str] = (),
        certified: Certified | None = None,
        refused: Callable[[ActrId, str], None] = lambda actor, why: None,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self._self_id, self._url = self_id, wire_url(url)
        self._ask, self._on_wire = ask, on_wire
        self._secret, self._certified = secret, certified
        self._allowed_realms = allowed_realms
        self._tell_refused = refused
        self._tasks = Tasks("relayed")
        self._is_running = False
        self._coming: Counter[ActrId] = Counter()
        self._newcomers = Newcomers[ActrId](at_once=NEW_AT_ONCE, per_second=NEW_A_SECOND)
        self._wires: set[WebSocketWire] = set()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._is_running = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_running = False
        await self._tasks.__aexit__(None, None, None)
        try:
            async with TaskGroup() as group:
                for wire in tuple(self._wires):
                    group.create_task(wire.close(), name=f"relayed/{wire.id}/close")
        finally:
            for wire in tuple(self._wires):
                wire.abort()

    def wires(self) -> list[WebSocketWire]:
        """Those that are open."""
        return [wire for wire in self._wires if wire.is_open]

    async def dial(self, remote: ActrId) -> RelayedWire:
        """Return a wire to ``remote``, with its handshake done.

        Cancelling gives the attempt up and leaves nothing open.

        Raises:
            NoRelayError: If signaling relays none to it.
            UnreachableError: If the remote does not come, or refuses.
            RemoteProtocolError: If it does not prove what is required here.
        """
        ticket = secrets.token_hex(TICKET_BYTES)
        await self._ask(remote, NegotiateMessage(ticket, 0, Join()))
        sealing = Sealing(secrets.token_bytes(KEY_BYTES), is_dialler=True)
        handshake = DiallerHandshake(
            local=self._self_id,
            remote=remote,
            nonce=sealing.public,
            secret=self._secret,
            certified=self._certified,
        )
        handshake.relayed()
        dial = self._dial()
        wire = RelayedWire(
            _Relayed(handshake),
            dial,
            sealing,
            ticket,
            remote=remote,
            first=handshake.start(),
            certified=self._certified,
        )
        return await self._open(dial, wire, remote)

    def invited(self, source: ActrId, message: NegotiateMessage) -> None:
        """``source`` asks this actor to come: take its wire, in the background."""
        if not self._is_running:
            return
        if not self._may_come(source):
            self.refused["too many relayed wires"] += 1
            return
        self._coming[source] += 1
        self._tasks.start("come", self._come(source, message.connection_id), failed=self._failed)

    async def _come(self, source: ActrId, ticket: str) -> None:
        sealing = Sealing(secrets.token_bytes(KEY_BYTES), is_dialler=False)
        handshake = ListenerHandshake(
            local=self._self_id,
            nonce=sealing.public,
            secret=self._secret,
            allowed_realms=self._allowed_realms,
            certified=self._certified,
            tls_key=RELAYED,
            asked=source,
        )
        dial = self._dial()
        judged = _Relayed(handshake, self._disbelieve)
        wire = RelayedWire(judged, dial, sealing, ticket, certified=self._certified)
        try:
            self._on_wire(await self._open(dial, wire, source))
        except PeerError as error:
            log.info("no relayed wire: remote=%s cause=%s", source, error)
        finally:
            self._coming -= Counter([source])  # and forgets who has none

    def _may_come(self, source: ActrId) -> bool:
        is_full = self._coming.total() >= MAX_COMING or self._coming[source] >= COMING_FROM_ONE
        return not is_full and self._newcomers.admit(source, now=monotonic())

    def _dial(self) -> Dial:
        return Dial(self._wires, _EVERYWHERE, path=urlsplit(self._url).path)

    async def _open(self, dial: Dial, wire: RelayedWire, remote: ActrId) -> RelayedWire:
        try:
            async with timeout(DIAL_SECONDS):
                await dial.connect(wire, self._url)
                await dial.done.wait()
            if dial.error is not None:
                self._disbelieve(remote, cause_of(dial.error), str(dial.error))
                raise dial.error
            dial.is_kept = True
        except TimeoutError as exc:
            why = f"no relayed wire within {DIAL_SECONDS:g} s"
            raise UnreachableError(str(remote), why) from exc
        except (OSError, ValueError) as exc:
            raise UnreachableError(str(remote), f"{self._url}: {exc}") from exc
        finally:
            if not dial.is_kept:
                dial.give_up(wire)
        return wire

    def _disbelieve(self, actor: ActrId, cause: str, why: str) -> None:
        if cause:
            self.refused[cause] += 1
            self._tell_refused(actor, why)

    def _failed(self, error: BaseException) -> None:
        log.error("a relayed wire ended in a failure of this side's: %r", error)


class _Relayed:
    """A handshake on a relayed wire, whose messages are short whatever its sides take elsewhere.

    Args:
        refused: Told who was not believed.
    """

    def __init__(
        self,
        handshake: Handshake,
        refused: Callable[[ActrId, str, str], None] = lambda actor, cause, why: None,
    ) -> None:
        self._handshake, self._refused = handshake, refused

    def receive(self, data: bytes) -> Outcome:
        outcome = self._handshake.receive(data)
        if isinstance(outcome, Accepted):
            return replace(outcome, message_bytes=WIRE_MESSAGE_BYTES)
        if isinstance(outcome, Refused) and outcome.claimed is not None:
            self._refused(outcome.claimed, outcome.cause, outcome.why)
        return outcome


def wire_url(signaling: str) -> str:
    """Where wires are relayed, by the address of the signaling service: beside it, wherever a proxy
    has put that."""
    scheme, place, path, *_ = urlsplit(signaling)
    return urlunsplit((scheme, place, f"{path.rpartition('/')[0]}/wire", "", ""))
