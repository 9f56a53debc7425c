"""Sans-I/O: where a relay goes: to a connection here, to another replica, or nowhere and why."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import Enum

from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.presence.view import PresenceView


class Undelivered(Enum):
    """Why a relay was not handed over; values are those between replicas."""

    UNKNOWN = 1
    """No such actor was online lately."""
    OFFLINE = 2
    """It was online and has left, or its connection just broke."""
    NOT_ALLOWED = 3
    """Its realm is another one, and no rule lets this sender in; said whether it exists or not."""
    EXPIRED = 4
    """Its replica did not confirm in time."""
    OVERLOADED = 5
    """Too much waits for it, or for its replica."""


@dataclass(frozen=True, slots=True)
class Here:
    pass


@dataclass(frozen=True, slots=True)
class There:
    replica: str


@dataclass(frozen=True, slots=True)
class Nowhere:
    reason: Undelivered


Route = Here | There | Nowhere
HERE = Here()
"""The only one there is."""


def route(
    source: ActrId,
    to: ActrId | None,
    presence: PresenceView,
    *,
    replica: str,
    contacts: Container[str],
) -> Route:
    """Say where a message of ``source`` to ``to`` goes.

    Args:
        source: Stamped by the server.
        to: None: an id that nobody can have.
        presence: This replica's view.
        replica: This replica.
        contacts: Texts of ids in other realms that wrote to ``source`` first, and may be
            answered.
    """
    if to is None:
        return Nowhere(Undelivered.UNKNOWN)
    text = to.text
    entry = presence.find(text)
    is_let_in = to.realm == source.realm or text in contacts
    if not is_let_in and (entry is None or not entry.may_be_reached_from(source.realm)):
        return Nowhere(Undelivered.NOT_ALLOWED)
    if entry is None:
        known = presence.was_here(text)
        return Nowhere(Undelivered.OFFLINE if known else Undelivered.UNKNOWN)
    return HERE if entry.replica == replica else There(entry.replica)
