"""The client of the signaling service: one session, kept up over any number of connections.

Wires that work are not touched by anything here. What is asked during an outage waits until its
deadline. A connection that was lost is made anew after a back-off, with the same registration
and subscriptions; two ends are final: replaced by a newer process (4409), and refused (4401,
4403, a registration that cannot be used).
"""

from __future__ import annotations

import logging
import secrets
from asyncio import Event, sleep, timeout
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from websockets.exceptions import WebSocketException

from actr_peer.errors import (
    BrokenError,
    BusyError,
    ClosedError,
    ConfigError,
    LocalProtocolError,
    PeerError,
    UnreachableError,
)
from actr_peer.protocol import signaling_messages as messages
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.negotiation import IceServer, NegotiateMessage
from actr_peer.protocol.signaling import (
    Backoff,
    Load,
    Presence,
    PresenceEvent,
    PresenceView,
    Registration,
    SignalingState,
)
from actr_peer.protocol.signaling_session import Ending, Final, Lost, Session, undelivered
from actr_peer.tasks import Tasks
from actr_peer.wire.signaling_connection import Connection, open_socket
from actr_peer.wire.tcp import is_websocket_url

log = logging.getLogger(__name__)

ASK_SECONDS = 5.0
START_SECONDS = 10.0
LEAVE_SECONDS = 1.0
MAX_RECENT = 1024
MAX_FOUND = 256
_dice = secrets.SystemRandom()


class SignalingSink(Protocol):
    """Who uses signaling hears from it here, in calls on the loop. Raising is a bug."""

    def relayed(self, source: ActrId, incarnation: int, negotiate: NegotiateMessage) -> None:
        """Another peer negotiates; ``source`` is stamped by the service."""

    def presence(self, event: PresenceEvent) -> None:
        """An actor of a type subscribed to came, changed or left."""

    def state_changed(self, state: SignalingState) -> None: ...

    def replaced(self) -> None:
        """A newer process has this identity; the client has stopped for good."""


class SignalingClient:
    """Registered while its block runs; leaving it unregisters.

    Args:
        url: ``ws://host:port/v1/ws``; the name may stand for several replicas.
        registration: What this actor says of itself.
        secret: The realm secret; None: development mode.
        sink: Hears of relays, presence and state.
        load: Asked for with each heartbeat.
        start_timeout: Seconds within which the first registration must come about.

    Raises:
        ConfigError: If ``url`` is not a WebSocket address.
    """

    def __init__(
        self,
        *,
        url: str,
        registration: Registration,
        secret: bytes | None,
        sink: SignalingSink,
        load: Callable[[], Load],
        start_timeout: float = START_SECONDS,
    ) -> None:
        if not is_websocket_url(url):
            raise ConfigError(
                f"signaling.url {url!r}: write a WebSocket address, for example "
                "ws://signaling:8080/v1/ws"
            )
        self.state = SignalingState.CONNECTING
        self.ice_servers: tuple[IceServer, ...] = ()
        """As last handed out, with credentials."""
        self._url = url
        self._registration = registration
        self._secret = secret
        self._sink = sink
        self._load = load
        self._start_timeout = start_timeout
        self._tasks = Tasks("signaling")
        self._subscriptions: dict[str, None] = {}
        self._filled: set[str] = set()
        self._view = PresenceView()
        self._recent: OrderedDict[ActrId, Presence] = OrderedDict()
        self._live: Connection | None = None
        self._final: PeerError | None = None
        self._settled = Event()
        """Set while there is a live connection or never will be one."""
        self._was_registered = False
        self._last_failure = "no attempt was made"

    async def __aenter__(self) -> Self:
        """Connect and register.

        Raises:
            UnreachableError: If the service does not answer within ``start_timeout``.
            ConfigError: If it refuses this actor.
            BusyError: If a newer process took the identity meanwhile.
        """
        await self._tasks.__aenter__()
        try:
            self._tasks.start("session", self._run())
            async with timeout(self._start_timeout):
                await self._connection()
        except TimeoutError as exc:
            await self._tasks.__aexit__(None, None, None)
            why = f"not registered within {self._start_timeout:g} s: {self._last_failure}"
            raise UnreachableError(f"signaling at {self._url}", why) from exc
        except BaseException:
            await self._tasks.__aexit__(None, None, None)
            raise
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
            await self._tasks.__aexit__(exc_type, exc, traceback)

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
        answer = await self._ask(messages.Relay(to, negotiate), timeout, str(to))
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
            is_new = actr_type not in self._subscriptions
            self._subscriptions[actr_type] = None
            try:
                await self._ask(messages.Subscribe(actr_type), timeout)
            except BaseException:
                if is_new:
                    self._subscriptions.pop(actr_type, None)
                raise
        return self._view.of_type(actr_type)

    async def unsubscribe(self, actr_type: str = "", *, timeout: float = ASK_SECONDS) -> None:
        """End a subscription; harmless when there is none."""
        if actr_type in self._subscriptions:
            del self._subscriptions[actr_type]
            self._filled.discard(actr_type)
            self._view.forget(actr_type, self._subscriptions)
            await self._ask(messages.Unsubscribe(actr_type), timeout)

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
            limit: At most so many; 0: 16.

        Raises:
            UnreachableError: If the service does not answer within ``timeout`` seconds.
            LocalProtocolError: If neither type nor service is given.
        """
        if not actr_type and not service:
            raise LocalProtocolError("discover needs an actor type or a service")
        query = messages.Discover(
            actr_type=actr_type,
            service=service,
            fingerprint=fingerprint,
            stickiness=stickiness,
            limit=limit,
        )
        answer = await self._ask(query, timeout)
        assert isinstance(answer, messages.Discovered)
        self._remember(answer.found)
        return list(answer.found)

    @property
    def server_id(self) -> str:
        """The service that this actor is registered at; empty while at none."""
        return self._live.server_id if self._live is not None else ""

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
        if found is None and self._live is None:
            found = self._recent.get(actr_id)
        if found is None:
            self._recent.pop(actr_id, None)  # it may have left
            await self.discover(actr_id.actr_type, limit=MAX_FOUND, timeout=timeout)
            found = self._recent.get(actr_id)
        return found

    async def unregister(self) -> None:
        """Leave: others see it within a second. Final; harmless when called again."""
        if self._final is None:
            self._final = ClosedError("this actor has left signaling")
            self._move(SignalingState.CLOSED)
        connection, self._live = self._live, None
        self._settled.set()
        if connection is not None:
            with suppress(TimeoutError, PeerError):
                async with timeout(LEAVE_SECONDS):
                    await connection.ask(messages.Unregister())
                    await connection.close()

    # Of the connection (signaling_connection.Listener)

    def enrolled(self, connection: Connection) -> None:
        if self._final is not None:
            return
        self._live = connection
        self._was_registered = True
        self._settled.set()
        self._move(SignalingState.REGISTERED)

    def told(self, body: messages.Relayed | PresenceEvent | messages.Snapshot) -> None:
        match body:
            case messages.Relayed(source, incarnation, negotiate):
                self._sink.relayed(source, incarnation, negotiate)
            case PresenceEvent():
                if self._view.apply(body):
                    self._sink.presence(body)
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

    # Keeping it up

    async def _run(self) -> None:
        backoff = Backoff()
        while self._final is None:
            self._move(SignalingState.CONNECTING)
            ending, was_registered = await self._serve()
            if self._final is not None:
                return
            self._live = None
            self._settled.clear()
            if was_registered:
                backoff.succeeded()
            match ending:
                case Final(error):
                    self._end(error)
                case Lost(why, is_planned):
                    self._last_failure = why
                    # A replica that goes away has already spread its peers over time.
                    is_smooth = is_planned and was_registered
                    wait = 0.0 if is_smooth else backoff.failed(_dice.random())
                    log.info("signaling lost: %s; next attempt in %.2f s", why, wait)
                    self._move(SignalingState.WAITING)
                    await sleep(wait)

    async def _serve(self) -> tuple[Ending, bool]:
        """Make one connection and run it to its end; say whether it came to a registration."""
        session = Session(self._registration, self._secret, self._subscriptions)
        try:
            socket = await open_socket(self._url)
        except (OSError, EOFError, WebSocketException) as exc:
            return Lost(f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__), False
        connection = Connection("signaling", socket, session, self)
        return await connection.run(), connection.was_enrolled

    def _end(self, error: PeerError) -> None:
        """Stop for good."""
        self._final = error
        self._settled.set()
        is_replaced = isinstance(error, BusyError)
        self._move(SignalingState.REPLACED if is_replaced else SignalingState.REFUSED)
        if self._was_registered:
            log.error("signaling has ended: %s", error)
            if is_replaced:
                self._sink.replaced()

    def _move(self, state: SignalingState) -> None:
        if state is not self.state:
            self.state = state
            self._sink.state_changed(state)

    async def _connection(self) -> Connection:
        """Wait for a connection on which this actor is registered."""
        while self._live is None:
            if self._final is not None:
                raise type(self._final)(*self._final.args)  # each caller its own traceback
            await self._settled.wait()
        return self._live

    async def _ask(
        self, request: messages.Request, seconds: float, what: str = "signaling"
    ) -> messages.Body:
        """Ask on the live connection, or on the next one, until the answer or the deadline."""
        try:
            async with timeout(seconds):
                while True:
                    connection = await self._connection()
                    try:
                        answer = await connection.ask(request)
                    except BrokenError:
                        if self._live is connection:
                            self._live = None
                            self._settled.clear()
                        continue
                    if isinstance(answer, messages.Refusal):
                        why = f"signaling refuses the message: {answer.code} {answer.message}"
                        raise UnreachableError(what, why)
                    return answer
        except TimeoutError as exc:
            why = f"no answer of the signaling service within {seconds:g} s"
            raise UnreachableError(what, why) from exc

    def _remember(self, found: Iterable[Presence]) -> None:
        for presence in found:
            self._recent[presence.id] = presence
            self._recent.move_to_end(presence.id)
        while len(self._recent) > MAX_RECENT:
            self._recent.popitem(last=False)
