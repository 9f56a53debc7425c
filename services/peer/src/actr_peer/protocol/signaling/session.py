"""Sans-I/O: the client's side of one connection to the signaling service.

::

    GREETING ──Hello──▶ PROVING ──Authenticated──▶ REGISTERING ──Registered──▶ REGISTERED
        │                  │                           │                          │
        └────────── lost, refused, replaced ───────────┴──────────▶ ENDED ◀───────┘

The service speaks first. Messages come in, effects come out, in order. Every request has a
number; its answer carries it. A connection that is lost ends its session; the next one has a
new session, made from the same registration and subscriptions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Any

from actr_peer.errors import (
    BusyError,
    LimitError,
    PeerError,
    RemoteProtocolError,
)
from actr_peer.protocol.signaling import messages, requests
from actr_peer.protocol.signaling.presence import Load, PresenceEvent, Registration
from actr_peer.protocol.signaling.proofs import Proofs
from actr_peer.protocol.signaling.reading import ReadPresence, read_presence
from actr_peer.protocol.signaling.refusals import lacking, refused
from actr_peer.protocol.webrtc.negotiation import IceServer
from actr_peer.protocol.wire.close_codes import CloseCode

MAX_OPEN = 1024
"""Requests that may wait for their answers; heartbeats are none of them."""
MIN_HEARTBEAT = 1.0
MAX_HEARTBEAT = 60.0
"""Seconds between heartbeats, whatever the service asks for."""
MAX_MOVE = 30.0
"""Seconds within which a service that goes away is left, whatever it says."""


class State(Enum):
    GREETING = auto()
    """The service's hello is due."""
    PROVING = auto()
    REGISTERING = auto()
    REGISTERED = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class Send:
    data: bytes


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The registration stands; ``ice_servers`` are good for now."""

    epoch: int
    heartbeat: float
    """Seconds between heartbeats, before jitter."""
    ice_servers: tuple[IceServer, ...]
    took_over: bool = False
    """Another process held the identity until now."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to request ``number``."""

    number: int
    body: messages.Body


@dataclass(frozen=True, slots=True)
class Told:
    """What nobody asked for: a relay of another peer, or word of presence."""

    body: messages.Relayed | PresenceEvent | messages.Snapshot


@dataclass(frozen=True, slots=True)
class Freshened:
    """New credentials in place of those that near their end."""

    ice_servers: tuple[IceServer, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """Leave this connection after so many seconds and make another."""

    after: float


@dataclass(frozen=True, slots=True)
class Greeted:
    """The service says what time it has: Unix seconds."""

    time: float


Effect = Send | Greeted | Enrolled | Answered | Told | Freshened | Move
Effects = tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection ended; try again, at once or after the back-off."""

    why: str
    is_planned: bool = False


@dataclass(frozen=True, slots=True)
class Final:
    """The connection ended for good: never try again."""

    error: PeerError


Ending = Lost | Final

_ANSWERS: Mapping[type, tuple[type, ...]] = MappingProxyType(
    {
        requests.Authenticate: (messages.Authenticated,),
        requests.Heartbeat: (messages.HeartbeatAck,),
        requests.Subscribe: (messages.Snapshot,),
        requests.Unsubscribe: (messages.Done,),
        requests.Discover: (messages.Discovered,),
        requests.Relay: (messages.Receipt, messages.Undelivered),
        requests.Unregister: (messages.Receipt, messages.Done),
    }
)
_ANY_ANSWER = tuple({kind for kinds in _ANSWERS.values() for kind in kinds})


class ClientSession:
    """One connection's session, from the upgrade to its end.

    Args:
        registration: Registered once the proof is taken.
        proofs: Of who this actor is; in development mode none is asked for.
        subscriptions: Types to subscribe to as soon as registered.
        read: Reads what the service says of one actor.
    """

    def __init__(
        self,
        registration: Registration,
        proofs: Proofs,
        subscriptions: Iterable[str] = (),
        read: ReadPresence = read_presence,
    ) -> None:
        self.state = State.GREETING
        self.server_id = ""
        self.id = registration.id
        self.read = read
        self._registration = registration
        self._proofs = proofs
        self._hello: messages.Hello | None = None
        self._shown = ""
        """The certificate that the service has."""
        self._subscriptions = tuple(subscriptions)
        self._last = 0
        self._open: dict[int, type] = {}
        """Number to the type of each request that is not answered."""
        self._epoch = 0
        self._is_newest = False
        """Whether word came that an older registration replaces this one: it never does."""
        self._max_bytes = 0
        self._final: PeerError | None = None
        self._was_moved = False

    def ask(self, request: requests.Request) -> tuple[int, bytes]:
        """Return the number of a new request and what to send for it.

        Raises:
            LimitError: If the message is longer than the service takes, or too many requests
                are not answered yet.
        """
        if len(self._open) >= MAX_OPEN:
            raise LimitError("signaling requests", limit=MAX_OPEN, asked=MAX_OPEN + 1)
        data = self._encode(request)
        self._open[self._last] = type(request)
        return self._last, data

    def beat(self, load: Load) -> bytes:
        """Return a heartbeat: no request, for nobody waits for its answer.

        Raises:
            LimitError: If the service takes no message as long as this.
        """
        return self._encode(requests.Heartbeat(load))

    def renew(self) -> bytes | None:
        """Prove a certificate that is new since the last proof; None: there is nothing to say.

        Raises:
            LimitError: As :meth:`ask`.
        """
        hello, certificate = self._hello, self._proofs.certificate
        if hello is None or self.state is not State.REGISTERED or certificate == self._shown:
            return None
        if not certificate or not hello.time:  # an older service knows no certificates
            return None
        self._shown = certificate
        return self.ask(self._proofs.authenticate(self._registration.id, hello))[1]

    def _encode(self, request: requests.Request) -> bytes:
        data = requests.encode(self._last + 1, request)
        if 0 < self._max_bytes < len(data):
            raise LimitError("bytes of a signaling message", limit=self._max_bytes, asked=len(data))
        self._last += 1
        return data

    def forget(self, number: int) -> None:
        """Nobody waits for this answer any more; it is dropped when it comes."""
        self._open.pop(number, None)

    def receive(self, data: bytes) -> Effects:
        """Take one message of the service; return what follows, in order.

        Raises:
            RemoteProtocolError: If it is malformed, or may not come now.
        """
        return self.take(*messages.decode(data, self.read))

    def take(self, number: int, body: messages.Body | None) -> Effects:
        """The same for a message that is decoded already.

        Raises:
            RemoteProtocolError: If it may not come now.
        """
        if body is None or self.state is State.ENDED:
            return ()
        step = _STEPS.get((self.state, type(body))) or _ALWAYS.get(type(body))
        if step is not None:
            try:
                return step(self, number, body)
            except LimitError as exc:  # of what this side must say first
                raise RemoteProtocolError(f"a service that takes too little: {exc}") from exc
        if self.state is State.REGISTERED and isinstance(body, _ANY_ANSWER):
            return self._answer(number, body)
        raise RemoteProtocolError(f"{type(body).__name__} while {self.state.name.lower()}")

    def lost(self, code: int | None, reason: str) -> Ending:
        """The socket has closed: with ``code`` when the service said why. What now?"""
        self.state = State.ENDED
        who = self._registration.id
        if self._final is not None:
            return Final(self._final)
        why = f"{code} {reason}".strip() if code is not None else reason or "connection lost"
        match code:
            case CloseCode.REPLACED if not self._is_newest:
                return Final(BusyError(f"a newer process has the identity {who}"))
            case CloseCode.UNAUTHENTICATED | CloseCode.FORBIDDEN:
                return Final(self._refusal(code, reason))
            case _:
                planned = self._was_moved or code == CloseCode.RESTART
                return Lost(why, is_planned=planned)

    # Steps

    def _greeted(self, number: int, body: messages.Hello) -> Effects:
        del number
        proofs = self._proofs
        self._final = lacking(body, proofs)
        if self._final is not None:
            raise RemoteProtocolError("a proof is required that one of the two cannot give")
        self.state = State.PROVING
        self.server_id = body.server_id
        self._hello = body
        self._max_bytes = body.max_message_bytes
        self._shown = proofs.certificate
        proof = Send(self.ask(proofs.authenticate(self._registration.id, body))[1])
        return (Greeted(body.time), proof) if body.time else (proof,)

    def _proven(self, number: int, body: messages.Authenticated) -> Effects:
        self.forget(number)
        self.state = State.REGISTERING
        own = self._registration
        return (Send(self.ask(self._proofs.register(own))[1]),)

    def _enrolled(self, number: int, body: messages.Registered) -> Effects:
        self.forget(number)
        self.state = State.REGISTERED
        self._epoch = body.epoch
        asks = (self.ask(requests.Subscribe(actr_type)) for actr_type in self._subscriptions)
        heartbeat = min(max(body.heartbeat, MIN_HEARTBEAT), MAX_HEARTBEAT)
        enrolled = Enrolled(body.epoch, heartbeat, body.ice_servers, body.took_over)
        return (enrolled, *(Send(data) for _, data in asks))

    def _turned_away(self, number: int, body: messages.Refusal) -> Effects:
        """The proof or the registration is refused; a close follows, or nothing ever."""
        if body.code != CloseCode.TOO_FAST:
            self._final = self._refusal(body.code, body.message)
        raise RemoteProtocolError(f"{body.code} {body.message}")

    def _refused_one(self, number: int, body: messages.Refusal) -> Effects:
        """One request is refused; number 0 is word of the close that follows."""
        asked = self._open.pop(number, None)
        if asked is None:
            return ()
        if asked is requests.Authenticate and body.code == CloseCode.UNAUTHENTICATED:
            self._shown = ""  # with the next heartbeat again: the service may learn of the issuer
        return (Answered(number, body),)

    def _answer(self, number: int, body: messages.Body) -> Effects:
        asked = self._open.pop(number, None)
        if asked is None:
            return ()  # who asked has given up
        if not isinstance(body, _ANSWERS.get(asked, ())):
            raise RemoteProtocolError(f"{type(body).__name__} in answer to {asked.__name__}")
        return (Answered(number, body),)

    def _beat(self, number: int, body: messages.HeartbeatAck) -> Effects:
        answered = self._answer(number, body)
        return (*answered, Freshened(body.ice_servers)) if body.ice_servers else answered

    def _snapshot(self, number: int, body: messages.Snapshot) -> Effects:
        # First the view, then who waits for it.
        return (Told(body), *self._answer(number, body))

    def _told(self, number: int, body: messages.Relayed | PresenceEvent) -> Effects:
        return (Told(body),)

    def _goaway(self, number: int, body: messages.GoAway) -> Effects:
        if self._was_moved:
            return ()
        self._was_moved = True
        return (Move(min(body.after, MAX_MOVE)),)

    def _replaced(self, number: int, body: messages.Replaced) -> Effects:
        self._is_newest = body.epoch <= self._epoch
        if not self._is_newest:
            who = self._registration.id
            self._final = BusyError(f"a newer process has the identity {who}")
        return ()

    def _refusal(self, code: int, message: str) -> PeerError:
        is_certified = self._proofs.identity is not None
        return refused(self._registration.id, code, message, is_certified=is_certified)


Step = Callable[[ClientSession, int, Any], Effects]

_STEPS: Mapping[tuple[State, type], Step] = MappingProxyType(
    {
        (State.GREETING, messages.Hello): ClientSession._greeted,
        (State.PROVING, messages.Authenticated): ClientSession._proven,
        (State.PROVING, messages.Refusal): ClientSession._turned_away,
        (State.REGISTERING, messages.Registered): ClientSession._enrolled,
        (State.REGISTERING, messages.Refusal): ClientSession._turned_away,
        (State.REGISTERED, messages.Refusal): ClientSession._refused_one,
        (State.REGISTERED, messages.HeartbeatAck): ClientSession._beat,
        (State.REGISTERED, messages.Snapshot): ClientSession._snapshot,
        (State.REGISTERED, messages.Relayed): ClientSession._told,
        (State.REGISTERED, PresenceEvent): ClientSession._told,
    }
)
_ALWAYS: Mapping[type, Step] = MappingProxyType(
    {messages.GoAway: ClientSession._goaway, messages.Replaced: ClientSession._replaced}
)
