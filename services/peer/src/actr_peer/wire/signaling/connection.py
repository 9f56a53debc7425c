"""One WebSocket to the signaling service, from the upgrade to its end."""

from __future__ import annotations

import logging
import secrets
from asyncio import Future, TimerHandle, get_running_loop, sleep, wait
from collections import Counter
from collections.abc import Callable
from time import perf_counter
from typing import Protocol, cast
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from actr_peer.errors import BrokenError, RemoteProtocolError
from actr_peer.protocol.signaling import messages, requests
from actr_peer.protocol.signaling.listing import LONG_BYTES
from actr_peer.protocol.signaling.presence import Load, PresenceEvent
from actr_peer.protocol.signaling.reading import ReadPresence
from actr_peer.protocol.signaling.session import (
    Answered,
    ClientSession,
    Effect,
    Ending,
    Enrolled,
    Freshened,
    Greeted,
    Lost,
    Move,
    Send,
    Told,
)
from actr_peer.protocol.webrtc.negotiation import IceServer
from actr_peer.protocol.wire.close_codes import CloseCode
from actr_peer.tasks import Tasks
from actr_peer.wire import tcp

log = logging.getLogger(__name__)

OPEN_SECONDS = 5.0
REGISTER_SECONDS = 5.0
SUBPROTOCOL = Subprotocol("actr.v1")
"""What every service chooses that is one; who does not is given less time to greet."""
STRANGER_SECONDS = 2.0
CLOSE_SECONDS = 1.0
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""Of one message of the service: a snapshot of some ten thousand actors."""
READING_SECONDS = 0.002
"""Of one turn of the loop, for a long message."""
MAX_SILENT_BEATS = 3
MAX_REASON_BYTES = 120
DEAD_SECONDS = 5.0
"""Sooner than wires: moving to another replica costs nothing."""
TOOK_OVER = (
    "TOOK OVER %s: another process had this identity until now, and is told to end; if both are to "
    "run, give one of them another with --id or ACTR_ACTOR__ID"
)
_dice = secrets.SystemRandom()


class Listener(Protocol):
    """Who uses the session hears from it here, straight from whatever connection there is."""

    def told(self, body: messages.Relayed | PresenceEvent | messages.Snapshot) -> None:
        """What the service says that nobody asked for."""

    def freshened(self, ice_servers: tuple[IceServer, ...]) -> None: ...

    def greeted(self, time: float) -> None:
        """The service says what time it has: Unix seconds."""

    def load(self) -> Load: ...


class _Connect(connect):
    """A connection to the configured address and to no other: redirects are failures."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_socket(url: str) -> ClientConnection:
    """Connect and upgrade.

    Raises:
        OSError, TimeoutError, WebSocketException: If it does not come about.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    sock = await tcp.connect(parts.hostname or "", port, dead_after=DEAD_SECONDS)
    try:
        return await _Connect(
            url,
            sock=sock,
            proxy=None,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            subprotocols=[SUBPROTOCOL],
            ping_interval=None,  # heartbeats do that
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            user_agent_header="actr-peer",
        )
    except BaseException:
        sock.close()
        raise


class Connection:
    """Runs a session on a socket; asks are answered in any order.

    Args:
        name: For tasks and logs.
        enrolled: Told when the registration stands.

    Attributes:
        was_enrolled: Whether the registration stood once.
    """

    def __init__(
        self,
        name: str,
        socket: ClientConnection,
        session: ClientSession,
        listener: Listener,
        *,
        enrolled: Callable[[Connection], None],
    ) -> None:
        self.was_enrolled = False
        self._socket = socket
        self._session = session
        self._listener = listener
        self._enrolled = enrolled
        self._loop = get_running_loop()
        self._tasks = Tasks(name)
        self._waiting: dict[int, Future[messages.Body]] = {}
        self._silent_beats = 0
        self._timer: TimerHandle | None = None

    @property
    def contained(self) -> Counter[str]:
        """Failures of this side's that ended no more than this connection."""
        return self._tasks.contained

    @property
    def server_id(self) -> str:
        """What the service at the far side calls itself; empty before its greeting."""
        return self._session.server_id

    async def run(self) -> Ending:
        """Read until the end; return what it means. Every open ask is broken then.

        A failure of this side's ends the connection, and nothing else: it is logged and counted.
        """
        is_known = self._socket.subprotocol is not None
        seconds = REGISTER_SECONDS if is_known else STRANGER_SECONDS
        self._timer = self._loop.call_later(seconds, self._socket.transport.abort)
        ending: Ending = Lost("a failure on this side")
        try:
            async with self._tasks:

                async def read() -> None:
                    nonlocal ending
                    ending = await self._read()

                await wait([self._tasks.start("reader", read(), failed=self._failed)])
                return ending
        finally:
            self._timer.cancel()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(BrokenError("the connection to signaling was lost"))
            # Also when cancelled: nothing is left to wait for.
            self._socket.transport.abort()

    async def ask(self, request: requests.Request) -> messages.Body:
        """Send a request and wait for its answer; cancelling forgets it.

        Raises:
            BrokenError: If the connection ends first: the request may have arrived.
            LimitError: If it is too long, or too many are open.
        """
        number, data = self._session.ask(request)
        future: Future[messages.Body] = self._loop.create_future()
        self._waiting[number] = future
        try:
            await self._send(data)
            return await future
        finally:
            self._session.forget(number)
            del self._waiting[number]
            if future.done() and not future.cancelled():
                future.exception()  # seen, also where the send failed first

    async def close(self, code: CloseCode = CloseCode.NORMAL) -> None:
        """Say good-bye, within a second; :meth:`run` returns after."""
        await self._socket.close(code)

    async def _send(self, data: bytes) -> None:
        try:
            await self._socket.send(data)
        except ConnectionClosed as exc:
            raise BrokenError("the connection to signaling was lost") from exc

    async def _read(self) -> Ending:
        socket, session = self._socket, self._session
        try:
            async for data in socket:
                self._silent_beats = 0
                if isinstance(data, str):
                    raise RemoteProtocolError("a text frame from the signaling service")
                for effect in session.take(*await _decoded(data, session.read)):
                    await self._perform(effect)
        except RemoteProtocolError as error:
            await socket.close(CloseCode.BAD_MESSAGE, _reason(str(error)))
            return session.lost(None, str(error))
        except (ConnectionClosed, BrokenError):
            pass  # the codes below say more
        return session.lost(socket.close_code, socket.close_reason or "")

    async def _perform(self, effect: Effect) -> None:
        match effect:
            case Send(data):
                await self._send(data)
            case Answered(number, body):
                future = self._waiting.get(number)
                if future is not None and not future.done():
                    future.set_result(body)
                elif isinstance(body, messages.Refusal):  # a subscription, or a new certificate
                    log.warning("signaling refuses: %d %s", body.code, body.message)
            case Told(body):
                self._listener.told(body)
            case Greeted(time):
                self._listener.greeted(time)
            case Enrolled():
                self._begin(effect)
            case Freshened(ice_servers):
                self._listener.freshened(ice_servers)
            case Move(after):
                self._tasks.start("move", self._move(after), failed=self._failed)

    def _begin(self, enrolled: Enrolled) -> None:
        assert self._timer is not None
        self._timer.cancel()
        self.was_enrolled = True
        self._listener.freshened(enrolled.ice_servers)
        if enrolled.took_over:
            log.warning(TOOK_OVER, self._session.id)
        self._enrolled(self)
        beat = self._beat(enrolled.heartbeat)
        self._tasks.start("heartbeat", beat, failed=self._failed)

    async def _beat(self, every: float) -> None:
        while True:
            await sleep(every * _dice.uniform(0.8, 1.2))
            self._silent_beats += 1
            if self._silent_beats > MAX_SILENT_BEATS:
                log.warning("signaling is silent, connecting anew")
                self._socket.transport.abort()
                return
            try:
                await self._send(self._session.beat(self._listener.load()))
                renewed = self._session.renew()
                if renewed is not None:
                    await self._send(renewed)
            except BrokenError:
                return  # the reader says what it means

    async def _move(self, after: float) -> None:
        await sleep(after)
        await self.close(CloseCode.GOING_AWAY)

    def _failed(self, error: BaseException) -> None:
        self._socket.transport.abort()


async def _decoded(data: bytes, read: ReadPresence) -> tuple[int, messages.Body | None]:
    """Decode a message; others of the loop have their turn while a long one is read."""
    if len(data) <= LONG_BYTES:
        return messages.decode(data, read)
    steps = messages.decode_long(data, read)
    until = perf_counter() + READING_SECONDS
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return cast(tuple[int, messages.Body | None], done.value)
        if perf_counter() >= until:
            await sleep(0)
            until = perf_counter() + READING_SECONDS


def _reason(text: str) -> str:
    """As much of ``text`` as fits a close frame (RFC 6455, section 5.5), in whole characters."""
    return text.encode(errors="replace")[:MAX_REASON_BYTES].decode(errors="ignore")
