"""Sans-I/O: the life of a durable call at its caller.

Every call is a row of the outbox's file from the moment it has a number::

    WAITING ──► STORING ──► OPEN ──► ANSWERED ──► KEPT
                   │          └──────────┴──────────┴──► LEAVING ──► GONE
                   └──► WITHDRAWN ───────────────────────────▲

It may be forgotten at any moment, and its row may be refused; :data:`MOVES` has each case. What
has been forgotten while its row was being written is let go once the row is there. A call's number
is done with (:attr:`Step.FREE`) when its reply is on disk, or the note that its row is needed no
more: not before, for a callee that hears of it forgets its own reply.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto


class CallState(IntEnum):
    """Where a call stands. An ``IntEnum``, for it is hashed in C: a call takes four events."""

    WAITING = 0
    """Made, without a number: there may be no room for it yet."""
    STORING = auto()
    """Numbered; its row is being written."""
    WITHDRAWN = auto()
    """Forgotten while its row is being written."""
    REFUSED = auto()
    """Its row could not be written: it was never accepted."""
    OPEN = auto()
    """On disk, without a reply."""
    ANSWERED = auto()
    """Its reply is being written."""
    KEPT = auto()
    """Its reply is on disk, for whoever takes it."""
    LEAVING = auto()
    """Needed no more; the note of that is being written."""
    GONE = auto()
    """That is on disk."""


class CallEvent(IntEnum):
    """What happens to a call."""

    PUT = 0
    """There is room: it gets its number, and its row is written."""
    STORED = auto()
    NOT_STORED = auto()
    """How the writing of its row ended."""
    REPLIED = auto()
    """A reply that somebody may ask for later."""
    TAKEN = auto()
    """A reply that goes to the only one who can ask for it."""
    REPLY_SAVED = auto()
    REPLY_NOT_SAVED = auto()
    FORGOTTEN = auto()
    """Nobody wants it, or its reply, any more."""
    MARKED = auto()
    NOT_MARKED = auto()
    """How the writing of the note that it leaves ended."""


class Step(IntEnum):
    """What is to be done, in order."""

    TELL = 0
    """Who put it hears whether that is on disk."""
    ANSWER = auto()
    """Whoever waits for the reply gets it."""
    FAIL = auto()
    """Whoever waits for the reply waits in vain."""
    KEEP = auto()
    """Write the reply."""
    LET_GO = auto()
    """Write that its row is needed no more."""
    REPEAT = auto()
    """Write once more what could not be written."""
    FREE = auto()
    """Its number is done with: see :meth:`Calls.free`."""
    DELETE = auto()
    """Its row may be deleted, with others."""


Steps = tuple[Step, ...]
_S, _E, _D = CallState, CallEvent, Step

MOVES: dict[tuple[CallState, CallEvent], tuple[CallState, Steps]] = {
    (_S.WAITING, _E.PUT): (_S.STORING, ()),
    (_S.STORING, _E.STORED): (_S.OPEN, (_D.TELL,)),
    (_S.STORING, _E.NOT_STORED): (_S.REFUSED, (_D.FAIL, _D.FREE, _D.TELL)),
    (_S.STORING, _E.FORGOTTEN): (_S.WITHDRAWN, (_D.FAIL,)),
    (_S.WITHDRAWN, _E.STORED): (_S.LEAVING, (_D.LET_GO, _D.TELL)),
    (_S.WITHDRAWN, _E.NOT_STORED): (_S.REFUSED, (_D.FREE, _D.TELL)),
    (_S.OPEN, _E.REPLIED): (_S.ANSWERED, (_D.KEEP, _D.ANSWER)),
    (_S.OPEN, _E.TAKEN): (_S.LEAVING, (_D.ANSWER, _D.LET_GO)),
    (_S.OPEN, _E.FORGOTTEN): (_S.LEAVING, (_D.FAIL, _D.LET_GO)),
    (_S.ANSWERED, _E.REPLY_SAVED): (_S.KEPT, (_D.FREE,)),
    (_S.ANSWERED, _E.REPLY_NOT_SAVED): (_S.ANSWERED, (_D.REPEAT,)),
    (_S.ANSWERED, _E.FORGOTTEN): (_S.LEAVING, (_D.LET_GO,)),
    (_S.KEPT, _E.FORGOTTEN): (_S.LEAVING, (_D.LET_GO,)),
    # A reply whose call is forgotten was on its way to the disk; it need not arrive.
    (_S.LEAVING, _E.REPLY_SAVED): (_S.LEAVING, (_D.FREE,)),
    (_S.LEAVING, _E.REPLY_NOT_SAVED): (_S.LEAVING, ()),
    (_S.LEAVING, _E.MARKED): (_S.GONE, (_D.FREE, _D.DELETE)),
    (_S.LEAVING, _E.NOT_MARKED): (_S.LEAVING, (_D.REPEAT,)),
}
"""Where each event leads, and what is to be done; one that is not here cannot happen. The one who
takes them is :meth:`~actr_peer.protocol.mailbox.outbox.calls.Calls.on`."""


class Place(Enum):
    """Among which calls one is listed."""

    NOWHERE = auto()
    UNANSWERED = auto()
    """By its key, one key naming one call at a time, and by its request id."""
    REPLIED = auto()
    """By its key."""


_PLACE_OF = {
    _S.STORING: Place.UNANSWERED,
    _S.OPEN: Place.UNANSWERED,
    _S.ANSWERED: Place.REPLIED,
    _S.KEPT: Place.REPLIED,
}
PLACES = tuple(_PLACE_OF.get(state, Place.NOWHERE) for state in _S)
"""The place of each state."""

Move = tuple[CallState, Steps, Place, Place]
"""Where an event leads, what is to be done, and the places before and after."""


def _row(event: CallEvent) -> tuple[Move | None, ...]:
    moves = {state: move for (state, of), move in MOVES.items() if of is event}
    return tuple(
        (*moves[state], PLACES[state], PLACES[moves[state][0]]) if state in moves else None
        for state in _S
    )


ROWS = tuple(_row(event) for event in _E)
"""The same as :data:`MOVES` by event and state, for whoever asks often: a dictionary of pairs
costs four times as much. None where an event cannot happen."""
ON_DISK = frozenset({_S.OPEN, _S.ANSWERED, _S.KEPT, _S.LEAVING, _S.GONE})


@dataclass(slots=True, kw_only=True)
class Call:
    """What the outbox goes by."""

    call_key: str
    """The application's name for it, by which it is found after a restart."""
    remote: str
    """The callee's id in text form."""
    request_id: str
    number: int = 0
    """Counts within the file, from 1; 0: none yet."""
    state: CallState = field(default=CallState.WAITING, compare=False)

    @property
    def is_saved(self) -> bool:
        """Whether its row is committed."""
        return self.state in ON_DISK
