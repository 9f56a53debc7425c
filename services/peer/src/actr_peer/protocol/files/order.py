"""Sans-I/O: the order of what the two sides of a transfer say (docs/files.md).

::

    sender     offer  entries …          proof          piece …              end
    receiver                      kept          begin          verified …         done

One table for each side, and one for the tries of a sender.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from actr_peer.errors import (
    BrokenError,
    CallError,
    Code,
    DeadlineError,
    PeerError,
    RemoteProtocolError,
    UnreachableError,
)
from actr_peer.protocol.wire.backoff import doubled


class State(Enum):
    """Of a transfer, at either side."""

    NEW = "new"
    LISTING = "listing"
    """The offer is said, entries follow."""
    PROVING = "proving"
    """All entries are said; the kept blocks are proven."""
    MOVING = "moving"
    """Blocks go over."""
    OVER = "over"


class Event(Enum):
    """What is said, or has become true."""

    OFFER = "offer"
    ENTRIES = "entries"
    LISTED = "listed"
    """The last entry has come."""
    PROOF = "proof"
    PIECE = "piece"
    END = "end"
    KEPT = "kept"
    BEGIN = "begin"
    VERIFIED = "verified"
    DONE = "done"


RECEIVING: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.NEW, Event.OFFER): State.LISTING,
        (State.LISTING, Event.ENTRIES): State.LISTING,
        (State.LISTING, Event.LISTED): State.PROVING,
        (State.PROVING, Event.PROOF): State.MOVING,
        (State.MOVING, Event.PIECE): State.MOVING,
        (State.MOVING, Event.END): State.OVER,
    }
)
"""What a receiver may hear; a pair that is not here breaks the rules."""

SENDING: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.NEW, Event.VERIFIED): State.NEW,  # it reads over what it has
        (State.NEW, Event.KEPT): State.PROVING,
        (State.PROVING, Event.BEGIN): State.MOVING,
        (State.MOVING, Event.VERIFIED): State.MOVING,
        (State.MOVING, Event.DONE): State.OVER,
    }
)
"""What a sender may hear."""


class Order:
    """Where one side of a transfer stands."""

    def __init__(self, table: Mapping[tuple[State, Event], State]) -> None:
        self.state = State.NEW
        self._table = table

    def hear(self, event: Event) -> None:
        """Take the next word.

        Raises:
            RemoteProtocolError: If it may not come now; nothing has changed.
        """
        try:
            self.state = self._table[self.state, event]
        except KeyError:
            raise RemoteProtocolError(
                f"a transfer of files: {event.value} while {self.state.value}"
            ) from None


FIRST_DELAY, MAX_DELAY = 0.25, 5.0
"""Seconds before the next try, doubled for each that moved nothing."""


def next_try(
    error: PeerError, *, was_accepted: bool, failures: int, left_seconds: float
) -> float | None:
    """Seconds until a sender tries again; None: the error is the end.

    Args:
        was_accepted: Whether the receiver took this transfer once: then it may be starting, and
            not say yet that it takes files.
        failures: Tries in a row that moved nothing, with this one; from 1.
        left_seconds: Until the sender gives up.
    """
    if not _may_pass(error, was_accepted=was_accepted):
        return None
    delay = doubled(FIRST_DELAY, failures, MAX_DELAY)
    if isinstance(error, CallError) and error.retry_after is not None:
        delay = max(delay, error.retry_after)
    return delay if delay < left_seconds else None


def _may_pass(error: PeerError, *, was_accepted: bool) -> bool:
    if isinstance(error, CallError):
        is_starting = was_accepted and error.code is Code.UNIMPLEMENTED
        return error.retryable or is_starting or error.code is Code.CANCELLED
    return isinstance(error, BrokenError | UnreachableError | DeadlineError)
