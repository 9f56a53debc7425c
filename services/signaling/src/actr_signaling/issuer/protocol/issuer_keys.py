"""Sans-I/O: the keys that certificates are signed with: published first, used after.

::

    PUBLISHED ── its time ──▶ SIGNING ──RETIRE──▶ RETIRED ── its last certificate over ──▶ GONE
                                 └──WITHDRAW: it is stolen──▶ GONE, with all that it has signed

Of several that may sign, the newest does. What is not GONE stands in the public key set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType

from actr_signaling.protocol.identity.certificates import LEEWAY


class State(StrEnum):
    PUBLISHED = "published"
    SIGNING = "signing"
    RETIRED = "retired"
    GONE = "gone"


class Event(Enum):
    RETIRE = "retire"
    WITHDRAW = "withdraw"


TABLE: Mapping[tuple[State, Event], frozenset[State]] = MappingProxyType(
    {
        (State.PUBLISHED, Event.RETIRE): frozenset({State.GONE}),
        (State.PUBLISHED, Event.WITHDRAW): frozenset({State.GONE}),
        (State.SIGNING, Event.RETIRE): frozenset({State.RETIRED, State.GONE}),
        (State.SIGNING, Event.WITHDRAW): frozenset({State.GONE}),
        (State.RETIRED, Event.RETIRE): frozenset({State.RETIRED}),
        (State.RETIRED, Event.WITHDRAW): frozenset({State.GONE}),
        (State.GONE, Event.RETIRE): frozenset({State.GONE}),
        (State.GONE, Event.WITHDRAW): frozenset({State.GONE}),
    }
)
"""Where a key may be at the same instant; which of two: by whether a certificate is alive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerKey:
    """One key pair; the private half is a file of the name ``kid``."""

    kid: str
    public: bytes
    """Raw Ed25519, 32 bytes."""
    created_at: float
    use_from: float
    """From when on it signs."""
    retired_at: float | None = None
    withdrawn_at: float | None = None
    signed_until: float = 0.0
    """When the last certificate that it has signed is over."""

    def state(self, now: float) -> State:
        if self.withdrawn_at is not None:
            return State.GONE
        if self.retired_at is not None:
            return State.RETIRED if now < self.signed_until + LEEWAY else State.GONE
        return State.SIGNING if now >= self.use_from else State.PUBLISHED


def signers(keys: Iterable[IssuerKey], now: float) -> list[IssuerKey]:
    """Those that may sign, the one that should first."""
    able = [key for key in keys if key.state(now) is State.SIGNING]
    return sorted(able, key=lambda key: (key.use_from, key.created_at, key.kid), reverse=True)


def published(keys: Iterable[IssuerKey], now: float) -> list[IssuerKey]:
    """Those by which certificates are to be believed, oldest first."""
    shown = [key for key in keys if key.state(now) is not State.GONE]
    return sorted(shown, key=lambda key: (key.created_at, key.kid))


def would_leave_none(keys: Iterable[IssuerKey], kid: str, now: float) -> bool:
    """Whether nothing could be signed without the key ``kid``."""
    return [key.kid for key in signers(keys, now)] == [kid]
