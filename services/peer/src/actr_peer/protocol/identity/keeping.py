"""Sans-I/O: when an actor asks its issuer for a certificate, and what it has meanwhile.

A certificate is renewed at two thirds of its life, each actor a little earlier by its own dice, so
that those who began together do not ask together. An issuer that is away or refuses takes nothing
from a certificate that lives: it is asked again, later each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType

from actr_peer.errors import LocalProtocolError
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.wire.backoff import Backoff

RENEW_AT = 2 / 3
"""Of the life: a third is left for an issuer that is away."""
SPREAD = 1 / 10
"""Of the life, by which it may be earlier."""
FIRST_RETRY = 1.0
MOST_RETRY = 60.0
"""Seconds between two questions to an issuer that does not answer."""
REFUSED_RETRY = 300.0
"""To one that says no: somebody has to do something first, there and not here."""
LEAST_GAP = 1.0
"""Between two certificates, however short their lives."""


class State(Enum):
    WANTING = auto()
    """There never was one."""
    HOLDING = auto()
    """One lives, and its renewal is not due."""
    RENEWING = auto()
    """One lives, and the next is asked for."""
    LAPSED = auto()
    """The last one has ended."""
    REFUSED = auto()
    """The issuer says no; the last one may still live."""


class Event(Enum):
    GIVEN = auto()
    DUE = auto()
    """Two thirds of the life are over."""
    ENDED = auto()
    AWAY = auto()
    """The issuer did not answer, or asks to wait."""
    REFUSED = auto()


NEXT: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.WANTING, Event.GIVEN): State.HOLDING,
        (State.WANTING, Event.AWAY): State.WANTING,
        (State.WANTING, Event.REFUSED): State.REFUSED,
        (State.HOLDING, Event.DUE): State.RENEWING,
        (State.RENEWING, Event.GIVEN): State.HOLDING,
        (State.RENEWING, Event.ENDED): State.LAPSED,
        (State.RENEWING, Event.AWAY): State.RENEWING,
        (State.RENEWING, Event.REFUSED): State.REFUSED,
        (State.LAPSED, Event.GIVEN): State.HOLDING,
        (State.LAPSED, Event.AWAY): State.LAPSED,
        (State.LAPSED, Event.REFUSED): State.REFUSED,
        (State.REFUSED, Event.GIVEN): State.HOLDING,
        (State.REFUSED, Event.AWAY): State.REFUSED,
        (State.REFUSED, Event.REFUSED): State.REFUSED,
    }
)
"""What is not here cannot happen."""


def renewal(certificate: Certificate, dice: float) -> float:
    """When it is to be renewed, in Unix seconds.

    Args:
        dice: Random, 0 to 1.
    """
    life = certificate.expires_at - certificate.issued_at
    return certificate.issued_at + life * (RENEW_AT - SPREAD * dice)


class Keeping:
    """One actor's certificate over time. All times are Unix seconds at the issuer.

    Args:
        certificate: Kept from an earlier start, or None.
        now: At the issuer, as far as it is known.
        dice: Random, 0 to 1.
    """

    def __init__(self, certificate: Certificate | None, *, now: float, dice: float) -> None:
        self.state = State.WANTING
        self.certificate = certificate
        self._backoff = Backoff(first=FIRST_RETRY, most=MOST_RETRY)
        self._at = now
        if certificate is not None:
            self._move(Event.GIVEN)
            self._at = renewal(certificate, dice)

    def lives(self, now: float) -> bool:
        """Whether there is a certificate that is good now."""
        return self.certificate is not None and now < self.certificate.expires_at

    @property
    def at(self) -> float:
        """When :meth:`step` is to be called next."""
        if self.state is State.RENEWING:
            assert self.certificate is not None
            return min(self._at, self.certificate.expires_at)
        return self._at

    def step(self, now: float) -> bool:
        """See what time has brought; returns whether the issuer is to be asked now."""
        if self.state is State.HOLDING and now >= self._at:
            self._move(Event.DUE)
        if self.state is State.RENEWING and not self.lives(now):
            self._move(Event.ENDED)
        return self.state is not State.HOLDING and now >= self._at

    def given(self, certificate: Certificate, *, now: float, dice: float) -> None:
        """The issuer has given one."""
        self._move(Event.GIVEN)
        self._backoff.succeeded()
        self.certificate = certificate
        self._at = max(renewal(certificate, dice), now + LEAST_GAP)

    def away(self, *, now: float, dice: float, retry_after: float = 0.0) -> None:
        """The issuer did not answer, or asks to come later.

        Args:
            retry_after: Seconds that it asks for; believed up to :data:`REFUSED_RETRY`.
        """
        self._move(Event.AWAY)
        asked = min(max(0.0, retry_after), REFUSED_RETRY)
        self._at = now + max(self._backoff.failed(dice), asked)

    def refused(self, *, now: float) -> None:
        """The issuer says no."""
        self._move(Event.REFUSED)
        self._at = now + REFUSED_RETRY

    def _move(self, event: Event) -> None:
        following = NEXT.get((self.state, event))
        if following is None:
            raise LocalProtocolError(f"{event.name} in state {self.state.name}")
        self.state = following
