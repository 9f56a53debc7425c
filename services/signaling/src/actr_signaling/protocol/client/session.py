"""Sans-I/O: one client's session: what it may say now, and what follows.

::

    GREETED ──Authenticate──▶ PROVEN ──Register──▶ ENROLLING ──registered()──▶ REGISTERED
       │                        │                      │                        │  ▲
       └──────── End, Unregister, a deadline, replaced() ┴──────▶ CLOSED        └──┘ Register

A message comes in, effects come out, in order; the shell performs them. Who has proven an
identity may watch and discover; only a registered actor may relay. The session owns no clock:
``now`` is monotonic seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Any

from actr_signaling.errors import (
    BadMessageError,
    Close,
    ForbiddenError,
    RefusedError,
    TooFastError,
    UnauthenticatedError,
)
from actr_signaling.protocol.client import messages, replies
from actr_signaling.protocol.client.effects import (
    Effect,
    Effects,
    End,
    Enrol,
    Forward,
    Leave,
    Renew,
    Search,
    Send,
    Unwatch,
    Watch,
)
from actr_signaling.protocol.client.limits import Bucket, Terms
from actr_signaling.protocol.client.messages import Message
from actr_signaling.protocol.client.proofs import is_proof
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.presence.records import Load, Registration


class State(Enum):
    GREETED = auto()
    """ServerHello is sent; a proof is due."""
    PROVEN = auto()
    ENROLLING = auto()
    """Registered by the client, not yet confirmed by the store."""
    REGISTERED = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What a proof is made over."""

    server_id: str
    nonce: bytes
    secret_of: Callable[[str], bytes | None] | None
    """Realm to its secret; None in place of the function: development mode, nobody proves."""


class Session:
    """One connection's session, from the upgrade to its end.

    Args:
        challenge: As sent in the ServerHello.
        terms: Deadlines, rates and bounds.
        now: When the upgrade was accepted.
    """

    def __init__(self, challenge: Challenge, terms: Terms, now: float) -> None:
        self.state = State.GREETED
        self.id: ActrId | None = None
        self.registration: Registration | None = None
        self.load = Load()
        self.epoch = 0
        self.watches: set[str] = set()
        self.contacts: OrderedDict[str, None] = OrderedDict()
        """Ids in other realms that wrote to this one, oldest first."""
        self._challenge = challenge
        self._terms = terms
        self._deadline = now + terms.authenticate
        self._register_id = 0
        self._messages = Bucket(terms.messages_per_second, terms.messages_burst, now)
        self._bytes = Bucket(terms.bytes_per_second, terms.bytes_burst, now)
        self._registers = Bucket(terms.registers_per_second, terms.registers_burst, now)
        self._greeting_frames = terms.greeting_frames

    @property
    def deadline(self) -> float:
        """When :meth:`expire` has something to say, as things stand."""
        return self._deadline

    def admit(self, size: int, now: float) -> None:
        """Count one frame of ``size`` bytes, of whatever kind.

        Raises:
            TooFastError: If the connection sends more than its terms allow.
        """
        if self.state is State.GREETED:
            self._greeting_frames -= 1
            if self._greeting_frames < 0:
                raise TooFastError(f"over {self._terms.greeting_frames} frames before the proof")
        if not self._messages.take(1, now):
            raise TooFastError(f"over {self._terms.messages_per_second:g} messages a second")
        if not self._bytes.take(size, now):
            raise TooFastError(f"over {self._terms.bytes_per_second:g} bytes a second")

    def receive(self, message: Message, reply_to: int, now: float) -> Effects:
        """Take one message; return what follows, in order.

        Raises:
            SignalingError: If it may not come now; a RefusedError leaves all as it was.
        """
        step = _STEPS.get((self.state, type(message)))
        if step is None:
            raise self._refusal(message)
        return step(self, message, reply_to, now)

    def registered(self, epoch: int, now: float) -> tuple[int, float]:
        """The store has confirmed: returns what ``Registered`` answers, and the lease in seconds.

        A second confirmation (the store was written anew) answers nothing: id 0.
        """
        if self.state is State.CLOSED:
            return 0, self._terms.lease
        answers, self._register_id = self._register_id, 0
        self.epoch = epoch
        if self.state is State.ENROLLING:
            self._move(State.REGISTERED)
            self._deadline = now + self._terms.lease
        return answers, self._terms.lease

    def replaced(self, epoch: int) -> Effects:
        """A newer session of the same identity exists."""
        return self._end(
            Close.REPLACED, "a newer session has this identity", Send(replies.replaced(epoch))
        )

    def expire(self, now: float) -> Effects:
        """Act on the deadline if it has passed."""
        if now < self._deadline or self.state is State.CLOSED:
            return ()
        match self.state:
            case State.GREETED:
                limit = self._terms.authenticate
                return self._end(Close.UNAUTHENTICATED, f"no proof within {limit:g} seconds")
            case State.ENROLLING:
                return self._end(Close.RESTART, "the presence store is away")
            case _:
                limit = self._terms.lease
                return self._end(Close.TIMED_OUT, f"no heartbeat for {limit:g} seconds")

    def close(self) -> None:
        """The connection is gone, whatever the reason."""
        self._move(State.CLOSED)

    def meet(self, source: str) -> None:
        """An actor of another realm was let in: it may be answered."""
        self.contacts[source] = None
        self.contacts.move_to_end(source)
        while len(self.contacts) > self._terms.max_contacts:
            self.contacts.popitem(last=False)

    def _prove(self, message: messages.Authenticate, reply_to: int, now: float) -> Effects:
        challenge = self._challenge
        if challenge.secret_of is not None:
            # An unknown realm costs and answers the same as a wrong proof.
            secret = challenge.secret_of(message.id.realm)
            good = is_proof(
                message.mac,
                secret or b"",
                server_id=challenge.server_id,
                nonce=challenge.nonce,
                id=message.id,
            )
            if not good or secret is None:
                raise UnauthenticatedError("the proof does not match this realm's secret")
        self.id = message.id
        self._deadline = now + self._terms.lease
        self._move(State.PROVEN)
        return (Send(replies.authenticated(reply_to)),)

    def _enrol(self, message: messages.Register, reply_to: int, now: float) -> Effects:
        registration = message.registration
        if registration.id != self.id:
            raise ForbiddenError(f"{registration.id} is not the identity that was proven")
        if not self._registers.take(1, now):
            limit = self._terms.registers_per_second
            raise RefusedError(Close.TOO_FAST, f"over {limit:g} registrations a second")
        self.registration = registration
        self._register_id = reply_to
        self._deadline = now + self._terms.enrol
        self._move(State.ENROLLING)
        return (Enrol(registration, self.load),)

    def _beat(self, message: messages.Heartbeat, reply_to: int, now: float) -> Effects:
        if self.state is not State.ENROLLING:
            self._deadline = now + self._terms.lease
        if message.load is not None:
            self.load = message.load
        return (Renew(self.load, reply_to),)

    def _watch(self, message: messages.Subscribe, reply_to: int, now: float) -> Effects:
        del now
        limit = self._terms.max_watches
        if message.actr_type not in self.watches and len(self.watches) >= limit:
            raise RefusedError(Close.TOO_FAST, f"over {limit} subscriptions")
        self.watches.add(message.actr_type)
        return (Watch(message.actr_type, reply_to),)

    def _unwatch(self, message: messages.Unsubscribe, reply_to: int, now: float) -> Effects:
        del now
        self.watches.discard(message.actr_type)
        return (Unwatch(message.actr_type), Send(replies.done(reply_to)))

    def _search(self, message: messages.Discover, reply_to: int, now: float) -> Effects:
        del now
        return (Search(message.query, reply_to),)

    def _forward(self, message: messages.Relay, reply_to: int, now: float) -> Effects:
        del now
        return (Forward(message, reply_to),)

    def _leave(self, message: messages.Unregister, reply_to: int, now: float) -> Effects:
        del message, now
        return self._end(Close.NORMAL, "unregistered", Leave(), Send(replies.receipt(reply_to)))

    def _end(self, code: Close, message: str, *before: Effect) -> Effects:
        if self.state is State.CLOSED:
            return ()
        self._move(State.CLOSED)
        return (*before, End(code, message))

    def _refusal(self, message: Message) -> Exception:
        name = type(message).__name__
        if self.state is State.GREETED:
            return UnauthenticatedError(f"{name} before Authenticate")
        if isinstance(message, messages.Authenticate):
            return BadMessageError("Authenticate comes once")
        return RefusedError(Close.FORBIDDEN, f"{name} while {self.state.name.lower()}")

    def _move(self, state: State) -> None:
        self.state = state


Step = Callable[[Session, Any, int, float], Effects]

_KNOWN = (State.PROVEN, State.ENROLLING, State.REGISTERED)
_STEPS: Mapping[tuple[State, type], Step] = MappingProxyType(
    {
        (State.GREETED, messages.Authenticate): Session._prove,
        (State.PROVEN, messages.Register): Session._enrol,
        (State.REGISTERED, messages.Register): Session._enrol,
        (State.REGISTERED, messages.Relay): Session._forward,
        **{(state, messages.Heartbeat): Session._beat for state in _KNOWN},
        **{(state, messages.Subscribe): Session._watch for state in _KNOWN},
        **{(state, messages.Unsubscribe): Session._unwatch for state in _KNOWN},
        **{(state, messages.Discover): Session._search for state in _KNOWN},
        **{(state, messages.Unregister): Session._leave for state in _KNOWN},
    }
)
