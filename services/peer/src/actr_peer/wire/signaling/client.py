"""The client of the signaling service: one session, kept up over any number of connections.

Wires that work are not touched by anything here. What is asked during an outage waits until its
deadline. A connection that was lost is made anew after a back-off, with the same registration
and subscriptions; two ends are final: replaced by a newer process (4409), and refused at the
start (4401, 4403, a registration that cannot be used). Nothing else that the service says ends
more than its connection.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from actr_peer.errors import ConfigError, LocalProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.signaling import messages, requests
from actr_peer.protocol.signaling.presence import (
    Load,
    Presence,
    PresenceEvent,
    PresenceView,
    Registration,
    SignalingState,
)
from actr_peer.protocol.signaling.proofs import Proofs
from actr_peer.protocol.signaling.refusals import undelivered
from actr_peer.protocol.signaling.session import ClientSession
from actr_peer.protocol.webrtc.negotiation import IceServer, NegotiateMessage
from actr_peer.wire.signaling.belief import Belief
from actr_peer.wire.signaling.pages import Recent, discovered
from actr_peer.wire.signaling.upkeep import SignalingSink, Upkeep
from actr_peer.wire.tcp import is_websocket_url

log = logging.getLogger(__name__)

ASK_SECONDS = 5.0
START_SECONDS = 10.0
MAX_FOUND = 256


class SignalingClient:
    """Registered while its block runs; leaving it unregisters.

    Args:
        url: ``ws://host:port/v1/ws``; the name may stand for several replicas.
        registration: What this actor says of itself: asked with each connection, given this
            machine's address on the interface that reaches the service.
        secret: The realm secret; None: it has none.
        certified: Its key and certificate, and how it believes others'; None: it has neither.
        relayed: Given what another peer negotiates; the service vouches for who that is.
        sink: Hears of presence and state.
        load: Asked for with each heartbeat.
        start_timeout: Seconds within which the first registration must come about.
        absent_timeout: The same while nobody listens at the address; None: no less.

    Raises:
        ConfigError: If ``url`` is not a WebSocket address.
    """

    def __init__(
        self,
        *,
        url: str,
        registration: Callable[[str], Registration],
        secret: bytes | None,
        relayed: Callable[[ActrId, NegotiateMessage], None],
        sink: SignalingSink,
        load: Callable[[], Load],
        certified: Certified | None = None,
        start_timeout: float = START_SECONDS,
        absent_timeout: float | None = None,
    ) -> None:
        if not is_websocket_url(url):
            raise ConfigError(
                f"signaling.url {url!r}: write a WebSocket address, for example "
                "ws://signaling:8080/v1/ws"
            )
        self.ice_servers: tuple[IceServer, ...] = ()
        """As last handed out, with credentials."""
        self._registration = registration
        self._proofs = Proofs.of(secret, certified)
        self._belief = Belief(certified, sink.refused)
        self.greeted = self._belief.greeted
        self._relayed = relayed
        self._sink = sink
        self._load = load
        self._start_timeouts = start_timeout, absent_timeout or start_timeout
        self._upkeep = Upkeep(url, self, sink)
        self._subscriptions: dict[str, None] = {}
        self._subscribing: Counter[str] = Counter()
        """How many wait for the snapshot of a type: the last of them that fails ends it."""
        self._filled: set[str] = set()
        self._view = PresenceView()
        self._recent = Recent()

    async def __aenter__(self) -> Self:
        """Connect and register.

        Raises:
            UnreachableError: If the service does not answer within ``start_timeout``.
            ConfigError: If it refuses this actor.
            BusyError: If a newer process took the identity meanwhile.
        """
        await self._upkeep.start(*self._start_timeouts)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.unregister()
        finally:
            await self._upkeep.stop()

    @property
    def state(self) -> SignalingState:
        return self._upkeep.state

    @property
    def trouble(self) -> str:
        """Why it is registered nowhere, in a clause; empty: it is, or nothing is known yet."""
        return self._upkeep.trouble

    @property
    def contained(self) -> Counter[str]:
        """Failures of this side's that ended one connection, or one message to who wants it."""
        return self._upkeep.contained

    @property
    def refused(self) -> Counter[str]:
        """Actors that the service named and nobody believed to be there, by the cause."""
        return self._belief.refused

    @property
    def server_id(self) -> str:
        """The service that this actor is registered at; empty while at none."""
        live = self._upkeep.live
        return "" if live is None else live.server_id

    # What users ask

    async def relay(
        self, to: ActrId, negotiate: NegotiateMessage, *, timeout: float = ASK_SECONDS
    ) -> None:
        """Hand ``negotiate`` to another peer; returns when its replica has handed it over.

        Messages to one peer keep the order of the calls. When the connection breaks before the
        receipt, the message is sent again and may arrive twice.

        Raises:
            UnreachableError: If it is not delivered within ``timeout`` seconds; the text says why.
            LimitError: If it is longer than the service takes.
        """
        answer = await self._upkeep.ask(requests.Relay(to, negotiate), timeout, str(to))
        if isinstance(answer, messages.Undelivered):
            raise undelivered(to, answer.reason)

    async def subscribe(
        self, actr_type: str = "", *, timeout: float = ASK_SECONDS
    ) -> list[Presence]:
        """Return who is online of a type, or of the realm; changes go to the sink from now on.

        It lasts over lost connections: what changed meanwhile comes as events.

        Raises:
            UnreachableError: If the service does not answer within ``timeout`` seconds.
        """
        if actr_type not in self._filled:
            self._subscriptions[actr_type] = None
            self._subscribing[actr_type] += 1
            try:
                await self._upkeep.ask(requests.Subscribe(actr_type), timeout)
            finally:
                self._subscribing[actr_type] -= 1
                if not self._subscribing[actr_type]:
                    del self._subscribing[actr_type]
                    if actr_type not in self._filled:
                        self._subscriptions.pop(actr_type, None)
        return self._view.of_type(actr_type)

    async def unsubscribe(self, actr_type: str = "", *, timeout: float = ASK_SECONDS) -> None:
        """End a subscription; harmless when there is none."""
        if actr_type in self._subscriptions:
            del self._subscriptions[actr_type]
            self._filled.discard(actr_type)
            self._view.forget(actr_type, self._subscriptions)
            await self._upkeep.ask(requests.Unsubscribe(actr_type), timeout)

    async def discover(
        self,
        actr_type: str = "",
        *,
        service: str = "",
        fingerprint: str = "",
        stickiness: str = "",
        limit: int = 0,
        timeout: float = ASK_SECONDS,
    ) -> list[Presence]:
        """Return who is online of a type, with a service, or both; best first.

        Args:
            fingerprint: Of the service: exact matches come first.
            stickiness: The same text prefers the same actor while it is there.
            limit: At most so many; 0: 16. Over 256 they are asked for in several questions: one
                whose load changes meanwhile may be left out.

        Raises:
            UnreachableError: If the service does not answer within ``timeout`` seconds.
            LocalProtocolError: If neither type nor service is given.
        """
        if not actr_type and not service:
            raise LocalProtocolError("discover needs an actor type or a service")
        query = requests.Discover(
            actr_type=actr_type,
            service=service,
            fingerprint=fingerprint,
            stickiness=stickiness,
            limit=limit,
        )
        found = await discovered(self._upkeep.ask, query, timeout)
        self._recent.remember(found)
        return found

    def find(self, actr_id: ActrId) -> Presence | None:
        """Look up an actor among the types subscribed to."""
        return self._view.find(actr_id)

    async def lookup(self, actr_id: ActrId, *, timeout: float = ASK_SECONDS) -> Presence | None:
        """As :meth:`find`, else ask the service; None: it is not online, or hidden.

        During an outage the last that was known of the actor is returned at once.

        Raises:
            UnreachableError: If nothing is known and the service does not answer in time.
        """
        found = self.find(actr_id)
        if found is None and self._upkeep.live is None:
            found = self._recent.find(actr_id)
        if found is None:
            self._recent.forget(actr_id)  # it may have left
            # A service that does not know the id in the question answers with the best of the type.
            query = requests.Discover(actr_type=actr_id.actr_type, id=actr_id, limit=MAX_FOUND)
            answer = await self._upkeep.ask(query, timeout)
            assert isinstance(answer, messages.Discovered)
            self._recent.remember(answer.found)
            found = self._recent.find(actr_id)
        return found

    async def unregister(self) -> None:
        """Leave: others see it within a second. Final; harmless when called again."""
        await self._upkeep.leave()

    # Of the upkeep and its connections (upkeep.py, Client)

    def session(self, local_host: str) -> ClientSession:
        registration = self._registration(local_host)
        return ClientSession(registration, self._proofs, self._subscriptions, self._belief.read)

    def told(self, body: messages.Relayed | PresenceEvent | messages.Snapshot) -> None:
        """Tell who wants to know; a failure there costs what it was told, not the connection."""
        try:
            if isinstance(body, messages.Relayed):
                self._relayed(body.source, body.negotiate)
            else:
                self._learn(body)
        except Exception:
            self.contained["told"] += 1
            log.exception("contained failure: signaling told %s", type(body).__name__)

    def _learn(self, body: PresenceEvent | messages.Snapshot) -> None:
        match body:
            case PresenceEvent(_, presence):
                wanted = self._subscriptions.keys() & {"", presence.id.actr_type}
                told = self._belief.applied(self._view, body) if wanted else None
                if told is not None:
                    self._sink.presence(told)
            case messages.Snapshot(actr_type, version, present):
                if actr_type not in self._subscriptions:
                    return
                events = self._view.reset(actr_type, version, present)
                if actr_type in self._filled:  # again, after a lost connection
                    for event in events:
                        self._sink.presence(event)
                self._filled.add(actr_type)

    def freshened(self, ice_servers: tuple[IceServer, ...]) -> None:
        self.ice_servers = ice_servers

    def load(self) -> Load:
        return self._load()
