"""Sans-I/O: a key that is enrolled, from its first certificate to its revocation.

::

    UNKNOWN ──ENROL──▶ ENROLLED ──RENEW──▶ ENROLLED ──REVOKE──▶ REVOKED, for good
                          └──SUPERSEDE──▶ SUPERSEDED ──ENROL──▶ ENROLLED
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from types import MappingProxyType

from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.grants import DEFAULT_LIFE, Claims, Grant
from actr_signaling.issuer.protocol.subjects import Subject


class State(StrEnum):
    """As it stands in the register."""

    UNKNOWN = "unknown"
    ENROLLED = "enrolled"
    SUPERSEDED = "superseded"
    """Another key has the id now."""
    REVOKED = "revoked"


class Event(Enum):
    ENROL = "enrol"
    RENEW = "renew"
    SUPERSEDE = "supersede"
    REVOKE = "revoke"


TABLE: Mapping[tuple[State, Event], State | Cause] = MappingProxyType(
    {
        (State.UNKNOWN, Event.ENROL): State.ENROLLED,
        (State.UNKNOWN, Event.RENEW): Cause.UNKNOWN_KEY,
        (State.UNKNOWN, Event.SUPERSEDE): Cause.UNKNOWN_KEY,
        (State.UNKNOWN, Event.REVOKE): Cause.UNKNOWN_KEY,
        (State.ENROLLED, Event.ENROL): State.ENROLLED,
        (State.ENROLLED, Event.RENEW): State.ENROLLED,
        (State.ENROLLED, Event.SUPERSEDE): State.SUPERSEDED,
        (State.ENROLLED, Event.REVOKE): State.REVOKED,
        (State.SUPERSEDED, Event.ENROL): State.ENROLLED,
        (State.SUPERSEDED, Event.RENEW): Cause.SUPERSEDED,
        (State.SUPERSEDED, Event.SUPERSEDE): State.SUPERSEDED,
        (State.SUPERSEDED, Event.REVOKE): State.REVOKED,
        (State.REVOKED, Event.ENROL): Cause.REVOKED,
        (State.REVOKED, Event.RENEW): Cause.REVOKED,
        (State.REVOKED, Event.SUPERSEDE): Cause.REVOKED,
        (State.REVOKED, Event.REVOKE): State.REVOKED,
    }
)
_WORDS = {
    Cause.UNKNOWN_KEY: "this key is not enrolled: enrol it by a token or the realm's secret",
    Cause.SUPERSEDED: "another key was enrolled for this id since: enrol anew, or revoke that one",
    Cause.REVOKED: "this key was revoked: make a new one and enrol it",
}


class Way(StrEnum):
    """How a key came to be enrolled."""

    TOKEN = "token"  # noqa: S105
    SECRET = "secret"  # noqa: S105
    KEY = "key"
    """Its predecessor has signed for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One key, as the register has it."""

    key: bytes
    """Raw Ed25519, 32 bytes."""
    subject: Subject
    realm: str
    claims: Claims = field(default_factory=dict)
    life: int = DEFAULT_LIFE
    way: Way
    state: State = State.ENROLLED
    enrolled_at: float
    renewed_at: float
    serial: str = ""
    """Of its last certificate."""
    expires_at: float = 0.0
    """When that one is over."""
    revoked_at: float | None = None

    def grant(self) -> Grant:
        return Grant(subject=self.subject, realm=self.realm, claims=self.claims, life=self.life)


def handle(actor: Actor | None, event: Event) -> State:
    """The state after ``event``; None is a key that nobody has seen.

    Raises:
        RefusalError: If the key may not; its state stays.
    """
    after = TABLE[State.UNKNOWN if actor is None else actor.state, event]
    if isinstance(after, Cause):
        raise RefusalError(after, _WORDS[after])
    return after
