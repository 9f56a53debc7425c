"""Keeps one registration up over any number of connections to the signaling service.

::

    CONNECTING ──registered──▶ REGISTERED ──lost──▶ WAITING ──back-off over──▶ CONNECTING
         └──────── refused at the start, replaced, left: for good ──────────────────┘

A service that refuses an actor which was registered before is asked again, every half minute
(REFUSED meanwhile): a secret that is changed replica by replica must not silence an actor that
works. What is asked during an outage waits until its deadline and goes out on the next connection.
"""

from __future__ import annotations

import logging
import secrets
from asyncio import Event, Timeout, TimerHandle, get_running_loop, sleep, timeout
from collections import Counter
from contextlib import suppress
from typing import Protocol

from websockets.exceptions import WebSocketException

from actr_peer.errors import (
    BrokenError,
    BusyError,
    ClosedError,
    ConfigError,
    PeerError,
    UnreachableError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling import messages, requests
from actr_peer.protocol.signaling.presence import PresenceEvent, SignalingState
from actr_peer.protocol.signaling.refusals import refused_ask
from actr_peer.protocol.signaling.session import ClientSession, Ending, Final, Lost
from actr_peer.protocol.wire.backoff import Backoff
from actr_peer.tasks import Tasks
from actr_peer.wire.signaling.answered import another_service, stranger
from actr_peer.wire.signaling.connection import Connection, Listener, open_socket

log = logging.getLogger(__name__)

LEAVE_SECONDS = 1.0
REFUSED_SECONDS = 30.0
"""Between attempts of an actor that was registered before, and is refused now."""
NOTHING_YET = "no attempt was made"
SAY_AFTER = 1.0
"""Seconds of a start without a registration, after which it says what it waits for."""
SAYS_NOTHING = 5.0
"""Seconds of a start that is over soon, and says it all then."""
_dice = secrets.SystemRandom()


class Client(Listener, Protocol):
    """Who uses the upkeep; what is told goes past it, from the connection to the client."""

    def session(self, local_host: str) -> ClientSession:
        """A new session, for a new connection, which leaves this machine by ``local_host``."""


class StateSink(Protocol):
    """Who hears how the registration stands, in calls on the loop. Raising is a bug."""

    def state_changed(self, state: SignalingState) -> None: ...

    def replaced(self) -> None:
        """A newer process has the identity that was registered here: this has stopped for good."""


class SignalingSink(StateSink, Protocol):
    """Who uses signaling hears from it here, likewise."""

    def presence(self, event: PresenceEvent) -> None:
        """An actor of a type subscribed to came, changed or left."""

    def refused(self, actor: ActrId, why: str) -> None:
        """The service names an actor that has not signed what is said of it."""


class Upkeep:
    """Runs between :meth:`start` and :meth:`stop`; owns the connection and one task.

    Args:
        url: ``ws://`` or ``wss://``; the name may stand for several replicas.
        client: Makes sessions, and hears what the service says.
    """

    def __init__(self, url: str, client: Client, sink: StateSink) -> None:
        self.state = SignalingState.CONNECTING
        self.live: Connection | None = None
        """The connection on which the registration stands."""
        self._url = url
        self._name = f"signaling at {url}"
        self._client = client
        self._sink = sink
        self._tasks = Tasks("signaling")
        self._final: PeerError | None = None
        self._settled = Event()
        """Set while there is a live connection or never will be one."""
        self._is_started = False
        self._says: TimerHandle | None = None
        """Says what a start waits for, when that takes long."""
        self._start: tuple[Timeout, float, float] | None = None
        """Of a start: its limit, and when it ends where nobody listens, and else."""
        self._was_registered = False
        self._last_failure = NOTHING_YET
        self.contained: Counter[str] = Counter()
        """Failures of this side's, by the task or the message that they ended."""

    @property
    def trouble(self) -> str:
        """Why there is no live connection; empty: there is one, or none has failed yet."""
        if self.live is not None or self._last_failure == NOTHING_YET:
            return ""
        return f"{self._name} is away: {self._last_failure}"

    async def start(self, seconds: float, absent: float) -> None:
        """Return when registered; nothing runs after a failure.

        Args:
            absent: Seconds, in place of ``seconds`` where they are fewer, while nobody listens at
                the address.

        Raises:
            UnreachableError: If it does not come about within that time.
            ConfigError: If the service refuses this actor.
            BusyError: If a newer process took the identity meanwhile.
        """
        await self._tasks.__aenter__()
        self._is_started = True
        loop = get_running_loop()
        begun = loop.time()
        if min(seconds, absent) > SAYS_NOTHING:
            self._says = loop.call_later(SAY_AFTER, self._say, begun + min(seconds, absent))
        try:
            async with timeout(seconds) as limit:
                self._start = limit, begun + min(absent, seconds), begun + seconds
                self._tasks.start("session", self._run())
                await self._connection()
        except TimeoutError as exc:
            await self.stop()
            why = f"not registered within {loop.time() - begun:.2g} s: {self._last_failure}"
            raise UnreachableError(self._name, why) from exc
        except BaseException:
            await self.stop()
            raise
        finally:
            self._start = None
            if self._says is not None:
                self._says.cancel()

    def _say(self, until: float) -> None:
        left = until - get_running_loop().time()
        log.warning(
            "waiting for %s, another %.0f s (%s); start 'actr dev' or 'actr-signaling' there, or "
            "name another with --signaling or ACTR_SIGNALING__URL",
            self._name,
            left,
            self._last_failure,
        )

    async def leave(self) -> None:
        """Unregister, within a second; final. Harmless when called again."""
        if self._final is None:
            self._final = ClosedError("this actor has left signaling")
            self._move(SignalingState.CLOSED)
        connection, self.live = self.live, None
        self._settled.set()
        if connection is not None:
            with suppress(TimeoutError, PeerError):
                async with timeout(LEAVE_SECONDS):
                    await connection.ask(requests.Unregister())
                    await connection.close()

    async def stop(self) -> None:
        """End what runs."""
        await self._tasks.__aexit__(None, None, None)

    async def ask(
        self, request: requests.Request, seconds: float, what: str = "signaling"
    ) -> messages.Body:
        """Ask on the live connection, or on the next one, until the answer or the deadline.

        Args:
            what: Names in errors what cannot be reached.

        Raises:
            UnreachableError: If the service does not answer within ``seconds``, or refuses, or
                this has not started.
            LimitError: If the request is too long, or too many are open.
            ClosedError, BusyError, ConfigError: If there never will be a connection again.
        """
        try:
            async with timeout(seconds):
                while True:
                    connection = await self._connection()
                    try:
                        answer = await connection.ask(request)
                    except BrokenError:
                        if self.live is connection:
                            self._lose()
                        continue
                    if isinstance(answer, messages.Refusal):
                        raise refused_ask(what, request, answer)
                    return answer
        except TimeoutError as exc:
            why = self.trouble or f"no answer of the signaling service within {seconds:g} s"
            raise UnreachableError(what, why) from exc

    # The loop

    async def _run(self) -> None:
        backoff = Backoff()
        while self._final is None:
            self._move(SignalingState.CONNECTING)
            ending, was_registered = await self._serve()
            if self._final is not None:
                return
            self._lose()
            if was_registered:
                backoff.succeeded()
            match ending:
                case Final(error) if self._was_registered and not isinstance(error, BusyError):
                    log.error("signaling refuses this actor, which works on: %s", error)
                    self._last_failure = str(error)
                    self._move(SignalingState.REFUSED)
                    await sleep(REFUSED_SECONDS)
                case Final(error):
                    self._end(error)
                case Lost(why, is_planned):
                    self._last_failure = why
                    # A replica that goes away has already spread its peers over time.
                    wait = 0.0 if is_planned and was_registered else backoff.failed(_dice.random())
                    log.info("signaling lost: %s; next attempt in %.2f s", why, wait)
                    self._move(SignalingState.WAITING)
                    await sleep(wait)

    async def _serve(self) -> tuple[Ending, bool]:
        """Make one connection and run it to its end; say whether it came to a registration."""
        try:
            socket = await open_socket(self._url)
        except (OSError, EOFError, WebSocketException, ValueError) as exc:
            self._attempted(exc)
            if not self._was_registered and (what := another_service(exc)):
                return Final(ConfigError(f"signaling.url = {self._url!r}: {what}")), False
            return Lost(f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__), False
        self._attempted(None)
        session = self._client.session(str(socket.local_address[0]))
        connection = Connection("signaling", socket, session, self._client, enrolled=self._enrolled)
        try:
            ending = await connection.run()
            is_stranger = not (self._was_registered or connection.server_id or socket.subprotocol)
            return (stranger(self._url) if is_stranger else ending), connection.was_enrolled
        finally:
            self.contained.update(connection.contained)

    def _attempted(self, failure: Exception | None) -> None:
        """Give a start less time while nobody listens, and all of it once somebody does."""
        if self._start is not None:
            limit, soon, late = self._start
            if not limit.expired():
                limit.reschedule(soon if isinstance(failure, ConnectionRefusedError) else late)

    def _enrolled(self, connection: Connection) -> None:
        if self._final is None:
            self.live = connection
            self._was_registered = True
            self._settled.set()
            self._move(SignalingState.REGISTERED)

    def _lose(self) -> None:
        self.live = None
        self._settled.clear()

    def _end(self, error: PeerError) -> None:
        """Stop for good; wires are not touched by that."""
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
        if not self._is_started:
            raise UnreachableError(self._name, "the actor has not started")
        while self.live is None:
            if self._final is not None:
                raise type(self._final)(*self._final.args)  # each caller its own traceback
            await self._settled.wait()
        return self.live
