"""Sans-I/O: what the mailbox admits, remembers and gives up on (docs/mailbox.md).

A request goes through the states of :class:`State`::

    put ──commit──► QUEUED ──► RUNNING ──► DONE (with its reply)
                │                 ▲           │  └───► DEAD (dead letters)
                └► refused        └── retry ──┘

Order is by sequence number, never by a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

from actr_peer.errors import Code
from actr_peer.protocol.payload import PayloadType

CAPACITY = 10_000
"""Requests that may be queued or running."""
MAX_BYTES = 256 * 1024 * 1024
"""Bytes of the whole database file; queue, replies and dead letters take shares of it."""
MAX_ATTEMPTS = 5
"""Starts of one request that a death of the process interrupted, over all its kinds."""
MAX_CRASHES = 3
"""Starts of one request during which the process died while the handler itself ran."""
MAX_REMEMBERED = 65_536
"""Finished calls whose reply is kept for repeated requests, oldest forgotten first."""
REMEMBER = 15 * 60.0
"""Seconds a finished call that is not durable is remembered."""
MAX_HORIZONS = 4096
"""Runs of callers' outboxes whose low-water mark is kept, least recently heard forgotten first."""
MAX_HORIZONS_OF_ONE = 64
"""The same, of one caller: it forgets its own first."""
RETRY_AFTER = 1.0
"""Seconds that a refused sender is asked to wait."""

QUEUE_SHARE = 4
"""One part in so many of ``max_bytes`` may be queued requests."""
REPLY_SHARE = 8
"""One part in so many of ``max_bytes`` may be remembered replies."""
DEAD_SHARE = 20
"""One part in so many of ``max_bytes`` may be dead letters: 5 %."""
ROW_BYTES = 200
"""What a row costs beside its envelope, about: ids, route, page overhead."""


class State(IntEnum):
    """Where a request is; the values are stored."""

    QUEUED = 0
    """Committed and acknowledged, waits for its turn."""
    RUNNING = 1
    """Its handler runs; known from the run journal, never written into the table."""
    DONE = 2
    """Completed; the reply is remembered."""
    DEAD = 3
    """Given up; a copy is among the dead letters."""


class Pressure(Enum):
    """What senders feel of the mailbox."""

    EASED = "eased"
    """All that arrives is stored at once."""
    FULL = "full"
    """Senders are pushed back."""


@dataclass(slots=True)
class Request:
    """One request or tell, as the dispatcher hands it over and the scheduler runs it."""

    sender: str
    request_id: str
    payload_type: PayloadType
    is_tell: bool
    route_key: str
    envelope: bytes
    """The serialized envelope, as it came."""
    number: int = 0
    """Of the message in its lane session, for the acknowledgement; 0 after a restart."""
    attempts: int = 0
    """Starts before this one that did not complete."""
    call_number: int = 0
    """Durable calls: the caller's number, from 1; 0: not durable."""
    low_water: int = 0
    """Durable calls: numbers below it are finished at the caller."""
    store_id: int = 0
    """Durable calls: the caller's outbox, within which the numbers count."""
    sequence: int = 0
    """Given by the mailbox: the order of arrival."""
    crashes: int = 0
    """Starts during which the process died while the handler ran, or only deferred replies."""
    failures: int = 0
    """Starts that ended with a failure of the handler."""
    last_error: str = ""
    """What the last of them failed with, in a line."""
    arrived_at: float | None = field(default=None, repr=False, compare=False)
    """By the loop's clock; None: before this start of the process."""
    dead: str = ""
    """Why it can never run: it is kept as a dead letter; empty: it can."""
    decoded: Any = field(default=None, repr=False, compare=False)
    """``envelope``, decoded, where the dispatcher has it at hand; None after a restart."""

    @property
    def key(self) -> tuple[str, str]:
        """What a repeated request has in common with the first."""
        return self.sender, self.request_id

    @property
    def is_signal(self) -> bool:
        return self.payload_type is PayloadType.RPC_SIGNAL


@dataclass(frozen=True, slots=True)
class Stored:
    """The request is on disk: acknowledge it."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """The request came before: acknowledge it; it does not run again.

    With ``reply`` None, none is due now: it is a tell, or still queued or running and its
    reply will go out when it is done, or the caller has finished it.
    """

    reply: bytes | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The request was not taken: acknowledge it and answer with this error."""

    code: Code
    message: str
    retry_after: float
    """Seconds."""


Put = Stored | Repeated | Refused

STORED = Stored()
REPEATED_QUIETLY = Repeated(None)


def blame(interrupted: dict[int, bool]) -> dict[int, bool]:
    """Say whom the death of the process counts as a crash.

    It counts so for each handler that ran. For deferred replies it does where no handler ran:
    then a task of one of them has ended the process, or something from outside.

    Args:
        interrupted: Sequence number of each request that ran, to whether it was deferred.

    Returns:
        The same numbers, to whether it is a crash; where not, it is an attempt only.
    """
    is_deferred_only = all(interrupted.values())
    return {
        sequence: is_deferred_only or not is_deferred
        for sequence, is_deferred in interrupted.items()
    }


def give_up(request: Request, *, max_attempts: int, max_crashes: int = MAX_CRASHES) -> str | None:
    """Say why a request found interrupted at start must not run again, or None if it may."""
    if request.crashes >= max_crashes:
        return f"the process died {request.crashes} times while it ran"
    if request.attempts >= max_attempts:
        return f"interrupted {request.attempts} times"
    return None
