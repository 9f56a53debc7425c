"""Sans-I/O: a join token: it enrols one key, once, until it expires.

::

    WAITING ──TAKE──▶ USED ──RETAKE──▶ USED       the key that has used it may ask again:
       │                                          its answer may have been lost
       ├──REVOKE──▶ REVOKED
       └── its time ──▶ EXPIRED
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType

from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.grants import DEFAULT_LIFE, Claims, Grant
from actr_signaling.issuer.protocol.subjects import Subject

PREFIX = "actr-join-"
"""So that a search for leaked secrets finds one."""
MAX_CHARACTERS = 128


class State(Enum):
    WAITING = auto()
    USED = auto()
    EXPIRED = auto()
    REVOKED = auto()


class Event(Enum):
    TAKE = auto()
    """By a key that has not used it."""
    RETAKE = auto()
    """By the key that has."""
    REVOKE = auto()


TABLE: Mapping[tuple[State, Event], State | Cause] = MappingProxyType(
    {
        (State.WAITING, Event.TAKE): State.USED,
        (State.WAITING, Event.RETAKE): State.USED,
        (State.WAITING, Event.REVOKE): State.REVOKED,
        (State.USED, Event.TAKE): Cause.TOKEN_USED,
        (State.USED, Event.RETAKE): State.USED,
        (State.USED, Event.REVOKE): Cause.TOKEN_USED,
        (State.EXPIRED, Event.TAKE): Cause.TOKEN_EXPIRED,
        (State.EXPIRED, Event.RETAKE): Cause.TOKEN_EXPIRED,
        (State.EXPIRED, Event.REVOKE): State.REVOKED,
        (State.REVOKED, Event.TAKE): Cause.TOKEN_REVOKED,
        (State.REVOKED, Event.RETAKE): Cause.TOKEN_REVOKED,
        (State.REVOKED, Event.REVOKE): State.REVOKED,
    }
)
_WORDS = {
    Cause.TOKEN_USED: "this token has enrolled another key already: ask for a new one",
    Cause.TOKEN_EXPIRED: "this token has expired: ask for a new one",
    Cause.TOKEN_REVOKED: "this token was revoked: ask for a new one",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """As the register has it; the token itself is not in it."""

    id: str
    """Short and public, for lists and for revoking it."""
    digest: bytes
    pattern: Subject
    realm: str
    patterns: bool = False
    """Whether it enrols patterns too, and not only ids."""
    claims: Claims = field(default_factory=dict)
    life: int = DEFAULT_LIFE
    created_at: float
    expires_at: float
    used_at: float | None = None
    used_by: bytes | None = None
    revoked_at: float | None = None
    note: str = ""

    def state(self, now: float) -> State:
        if self.revoked_at is not None:
            return State.REVOKED
        if self.used_at is not None:
            return State.USED
        return State.WAITING if now < self.expires_at else State.EXPIRED


def digest_of(token: str) -> bytes:
    """What is kept of a token: it has 256 random bits, so a quick hash is enough."""
    return hashlib.sha256(token.encode()).digest()


def handle(token: Token, event: Event, now: float) -> State:
    """The state after ``event``.

    Raises:
        RefusalError: If the token does not allow it; its state stays.
    """
    after = TABLE[token.state(now), event]
    if isinstance(after, Cause):
        raise RefusalError(after, _WORDS[after])
    return after


def redeem(token: Token | None, subject: Subject, realm: str, key: bytes, now: float) -> Grant:
    """What the token lets ``key`` have; a wrong request does not use it up.

    Raises:
        RefusalError: If there is no such token, it is for other ids, or it is no longer good.
    """
    if token is None:
        raise RefusalError(Cause.TOKEN_UNKNOWN, "there is no such token: see that it is whole")
    handle(token, Event.RETAKE if token.used_by == key else Event.TAKE, now)
    if token.realm != realm or not token.pattern.covers(subject):
        raise RefusalError(
            Cause.PATTERN,
            f"this token is for {token.pattern} in realm {token.realm}, "
            f"not for {subject} in realm {realm}",
        )
    if subject.is_pattern and not token.patterns:
        raise RefusalError(
            Cause.PATTERN,
            f"this token is for one id of {token.pattern}, and {subject} stands for many: make one "
            "with --patterns",
        )
    return Grant(subject=subject, realm=realm, claims=token.claims, life=token.life)
