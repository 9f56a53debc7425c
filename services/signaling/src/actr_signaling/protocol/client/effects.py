"""Sans-I/O: what a session wants done, for the shell to perform in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from actr_signaling.errors import Close
from actr_signaling.protocol.client.messages import Relay
from actr_signaling.protocol.presence.discovery import Query
from actr_signaling.protocol.presence.records import Load, Registration
from actr_signaling.protocol.presence.view import Reason


@dataclass(frozen=True, slots=True)
class Send:
    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """Close the socket; nothing follows."""

    code: Close
    message: str
    cause: str = ""
    """Of a proof that holds no more, as it is counted."""


@dataclass(frozen=True, slots=True)
class Enrol:
    """Write the registration to the store; its answer is :meth:`Session.registered`."""

    registration: Registration
    load: Load
    only_if_free: bool = False
    """Nothing is written while another process holds the identity."""


@dataclass(frozen=True, slots=True)
class Renew:
    """Renew the lease; answer the heartbeat."""

    load: Load
    reply_to: int


@dataclass(frozen=True, slots=True)
class Watch:
    actr_type: str
    reply_to: int


@dataclass(frozen=True, slots=True)
class Unwatch:
    actr_type: str


@dataclass(frozen=True, slots=True)
class Search:
    query: Query
    reply_to: int


class Forward(NamedTuple):  # as a Relay
    relay: Relay
    reply_to: int


@dataclass(frozen=True, slots=True)
class Leave:
    """End the registration for good: the actor says it goes, or it may not stay."""

    reason: Reason = Reason.CLOSED


@dataclass(frozen=True, slots=True)
class Recertify:
    """Store the registration with a newer certificate under it; nobody is told."""

    registration: Registration


Effect = Send | End | Enrol | Recertify | Renew | Watch | Unwatch | Search | Forward | Leave
Effects = tuple[Effect, ...]
