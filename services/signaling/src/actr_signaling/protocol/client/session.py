"""Sans-I/O: one client's session: what it may say now, and what follows.

::

    GREETED ──Authenticate──▶ PROVEN ──Register──▶ ENROLLING ──registered()──▶ REGISTERED
       │                        │                      │                        │  ▲
       └──────── End, Unregister, a deadline, replaced() ┴──────▶ CLOSED        └──┘ Register

A message comes in, effects come out, in order; the shell performs them. Who has proven an
identity may watch and discover; only a registered actor may relay. Who has proven a certificate
authenticates again with the next one, while PROVEN or REGISTERED: else the session ends with it.
The session owns no clock: ``now`` is monotonic seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import Enum, auto
from math import inf
from types import MappingProxyType
from typing import Any

from actr_signaling.errors import (
    Close,
    ForbiddenError,
    RefusedError,
    UnauthenticatedError,
)
from actr_signaling.protocol.client import messages, replies, trust
from actr_signaling.protocol.client.effects import (
    Effect,
    Effects,
    End,
    Enrol,
    Forward,
    Leave,
    Recertify,
    Renew,
    Search,
    Send,
    Unwatch,
    Watch,
)
from actr_signaling.protocol.client.limits import Rates, Terms
from actr_signaling.protocol.client.messages import Message
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.identity.certificates import LEEWAY, Certificate
from actr_signaling.protocol.presence.records import Load, Registration
from actr_signaling.protocol.presence.view import Reason


class State(Enum):
    GREETED = auto()
    """ServerHello is sent; a proof is due."""
    PROVEN = auto()
    ENROLLING = auto()
    """Registered by the client, not yet confirmed by the store."""
    REGISTERED = auto()
    CLOSED = auto()


class Session:
    """One connection's session, from the upgrade to its end.

    Args:
        challenge: As sent in the ServerHello.
        terms: Deadlines, rates and bounds.
        now: When the upgrade was accepted.
    """

    def __init__(self, challenge: trust.Challenge, terms: Terms, now: float) -> None:
        self.state = State.GREETED
        self.id: ActrId | None = None
        self.registration: Registration | None = None
        self.load = Load()
        self.epoch = 0
        self.watches: set[str] = set()
        self.contacts: OrderedDict[str, None] = OrderedDict()
        """Ids in other realms that wrote to this one, oldest first."""
        self.certificate: Certificate | None = None
        """That was proven; None: a secret was, or nothing."""
        self._challenge = challenge
        self._terms = terms
        self.began = now
        self._deadline = now + terms.authenticate
        self._certified_until = inf
        self._unix = 0.0  # of the message that is just taken
        self._register_id = 0
        self._rates = Rates(terms, now)

    @property
    def deadline(self) -> float:
        """When :meth:`expire` has something to say, as things stand."""
        return min(self._deadline, self._certified_until)

    def admit(self, size: int, now: float) -> None:
        """Count one frame of ``size`` bytes, of whatever kind.

        Raises:
            TooFastError: If the connection sends more than its terms allow.
        """
        self._rates.admit(size, now, is_greeting=self.state is State.GREETED)

    def receive(self, message: Message, reply_to: int, now: float, *, unix: float = 0.0) -> Effects:
        """Take one message; return what follows, in order.

        Args:
            unix: Unix time in seconds, which certificates are held against: at 0 none is valid.

        Raises:
            SignalingError: If it may not come now; a RefusedError leaves all as it was.
        """
        step = _STEPS.get((self.state, type(message)))
        if step is None:
            raise self._refusal(message)
        self._unix = unix
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

    def occupied(self) -> Effects:
        """Another process holds the identity, and this one is not to take its place."""
        answers, self._register_id = self._register_id, 0
        text = f"another process holds the identity {self.id}"
        refusal = replies.error(answers, Close.REPLACED, text)
        return self._end(Close.REPLACED, text, Send(refusal))

    def expire(self, now: float) -> Effects:
        """Act on the deadline if it has passed."""
        if now < self.deadline or self.state is State.CLOSED:
            return ()
        if now >= self._certified_until:
            text = f"the certificate of {self.id} has ended: authenticate with a renewed one"
            return self._end(Close.UNAUTHENTICATED, text, cause=trust.Why.ENDED)
        match self.state:
            case State.GREETED:
                limit = self._terms.authenticate
                return self._end(Close.UNAUTHENTICATED, f"no proof within {limit:g} seconds")
            case State.ENROLLING:
                return self._end(Close.RESTART, "the presence store is away")
            case _:
                limit = self._terms.lease
                return self._end(Close.TIMED_OUT, f"no heartbeat for {limit:g} seconds")

    def examine_again(self) -> Effects:
        """What was revoked has changed: who has it may not stay."""
        certificate = self.certificate
        if certificate is None or not self._challenge.trust.revoked.has(certificate):
            return ()
        text = trust.revoked_text(certificate)
        told = Leave(Reason.KICKED), Send(replies.error(0, Close.FORBIDDEN, text))
        return self._end(Close.FORBIDDEN, text, *told, cause=trust.Why.REVOKED)

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
        certificate = self._challenge.examine(message, self._unix)
        self.id = message.id
        self._deadline = now + self._terms.lease
        if certificate is not None:
            self._certify(certificate, now)
        self._move(State.PROVEN)
        return (Send(replies.authenticated(reply_to)),)

    def _prove_again(self, message: messages.Authenticate, reply_to: int, now: float) -> Effects:
        if self.certificate is None:
            raise RefusedError(Close.BAD_MESSAGE, "Authenticate comes once without a certificate")
        if message.id != self.id:
            text = f"{message.id} is not the identity that was proven"
            raise ForbiddenError(text, trust.Why.OTHER)
        self._rates.count_register(now)
        try:
            certificate = self._challenge.examine(message, self._unix)
        except UnauthenticatedError as exc:  # the one that was proven still holds
            raise RefusedError(exc.code, exc.message, exc.cause) from exc
        if certificate is None or certificate.key != self.certificate.key:
            raise ForbiddenError(
                "the certificate is for another key than was proven", trust.Why.OTHER
            )
        self._certify(certificate, now)
        answer = Send(replies.authenticated(reply_to))
        if self.registration is None:
            return (answer,)
        self.registration = trust.certified(self.registration, certificate)
        return (Recertify(self.registration), answer)

    def _certify(self, certificate: Certificate, now: float) -> None:
        self.certificate = certificate
        # As long as it would be taken: on this service's clock, which may be behind a little.
        self._certified_until = now + certificate.expires_at + LEEWAY - self._unix

    def _enrol(self, message: messages.Register, reply_to: int, now: float) -> Effects:
        registration = message.registration
        if registration.id != self.id:
            text = f"{registration.id} is not the identity that was proven"
            raise ForbiddenError(text, trust.Why.OTHER)
        self._rates.count_register(now)
        if self.certificate is not None:
            registration = trust.vouched(registration, self.certificate)
        self.registration = registration
        self._register_id = reply_to
        self._deadline = now + self._terms.enrol
        self._move(State.ENROLLING)
        return (Enrol(registration, self.load, message.only_if_free),)

    def _beat(self, message: messages.Heartbeat, reply_to: int, now: float) -> Effects:
        self._rates.count_heartbeat(now)
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

    def _end(self, code: Close, message: str, *before: Effect, cause: str = "") -> Effects:
        if self.state is State.CLOSED:
            return ()
        self._move(State.CLOSED)
        return (*before, End(code, message, cause))

    def _refusal(self, message: Message) -> Exception:
        name = type(message).__name__
        if self.state is State.GREETED:
            return UnauthenticatedError(f"{name} before Authenticate")
        return RefusedError(Close.FORBIDDEN, f"{name} while {self.state.name.lower()}")

    def _move(self, state: State) -> None:
        self.state = state


Step = Callable[[Session, Any, int, float], Effects]

_KNOWN = (State.PROVEN, State.ENROLLING, State.REGISTERED)
_STEPS: Mapping[tuple[State, type], Step] = MappingProxyType(
    {
        (State.GREETED, messages.Authenticate): Session._prove,
        (State.PROVEN, messages.Authenticate): Session._prove_again,
        (State.REGISTERED, messages.Authenticate): Session._prove_again,
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
