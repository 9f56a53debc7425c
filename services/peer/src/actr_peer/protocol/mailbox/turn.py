"""Sans-I/O: the life of one turn, a request's or a job's, from its wait to its end.

::

    WAITING ─start─▶ STEPPED ─wait─▶ SUSPENDED
       ▲                └────return────┴──▶ CONCLUDING ─end─▶ OVER
       │                                     │   │  └─write─▶ WRITING ─end─▶ OVER
       │ rested (behind the others)          │   └─again─▶ RESTING ─rested─▶ STEPPED
       └── RESTING_OUTSIDE ◀─again──┐      defer
                       CONCLUDING_OUTSIDE ◀─return─ PUT_OFF

A turn holds two things: a *place* among those that run, which keeps others waiting, and for a
request a *slot* in the run journal, which blames it should the process die. What is ``OUTSIDE`` has
given its place away, and what is put off too; a slot has only what runs, is concluded or put off.
So the state says what is held, and each row of :data:`TABLE` what is given back.

The table does not say who may start (:mod:`actr_peer.protocol.mailbox.turns`), nor what an outcome
leads to: whoever knows it names the event. A pair that is not in the table cannot happen.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple


class State(IntEnum):
    """Where a turn is."""

    WAITING = 0
    """For its turn."""
    STEPPED = 1
    """Its handler runs, and has not waited yet: it has no task."""
    SUSPENDED = 2
    """Its handler waits for something, in a task."""
    CONCLUDING = 3
    """The handler has returned; what becomes of it is being decided."""
    PUT_OFF = 4
    """The handler has returned, its reply is still to come."""
    CONCLUDING_OUTSIDE = 5
    """The reply that was put off has come."""
    WRITING = 6
    """Its effects are being committed, and others of its key wait for that."""
    WRITING_OUTSIDE = 7
    RESTING = 8
    """It will run once more, in its place: what comes after it waits."""
    RESTING_OUTSIDE = 9
    """It will run once more, behind the others."""
    INSISTING = 10
    """It will run once more, as soon as nothing runs beside it."""
    OVER = 11
    """Answered, buried, withdrawn, or kept in the table for the next start."""


class Event(IntEnum):
    """What happens to a turn."""

    START = 0
    """It may run: it was taken."""
    WAIT = 1
    """The handler waits: it goes on in a task."""
    RETURN = 2
    """The handler has returned or raised, or the reply that was put off has come."""
    DEFER = 3
    """What was returned is a promise of a reply."""
    WRITE_ALONE = 4
    """The outcome has effects, and nothing ran beside it: what is next reads after their commit."""
    WRITE = 5
    """The outcome has effects; the place is kept until its reads are known to have held."""
    AGAIN = 6
    """It has failed, or what it read has changed: it is to run once more."""
    INSIST = 7
    """The same, and others have won too often."""
    END = 8
    """It is answered, or buried."""
    REST_OVER = 9
    """Its pause has passed."""
    KEEP = 10
    """Nothing starts any more: it stays in the table."""
    CANCEL = 11
    """The caller waits no more."""
    EXPIRE = 12
    """Its time is up."""
    BREAK = 13
    """A bug on its way: nothing else will become of it."""
    CLOSE = 14
    """The scheduler has ended; its task with it."""


class Do(IntEnum):
    """What the shell does for one row, in this order; a row has the sum of its bits."""

    BEGIN = 1
    """Run the handler, with a slot."""
    REMOVE = 2
    """Take it out of those that wait."""
    RELENT = 4
    """Take it out of those that insist."""
    STILL = 8
    """End its timer; its handler runs no more."""
    ARM = 16
    """Start the timer of its deadline, if it has one."""
    OWE = 32
    """Note in the slot, and in the count, that a reply is to come."""
    PAY = 64
    """It came, or never will."""
    REST = 128
    """Start the timer of its pause."""
    INSIST = 256
    """Have it started when nothing runs beside it."""
    QUEUE = 512
    """Let it wait for its turn, as if it had just come."""
    STOP = 1024
    """Cancel the handler."""
    VOID = 2048
    """Tell who has the promise of a reply that nobody waits; then answer for it."""
    FORGET = 4096
    """The mailbox has it no more; nobody is answered."""
    BURY = 8192
    """It is a dead letter, and its caller hears of it."""
    RELEASE = 16384
    """Give its place to others."""
    LEAVE = 32768
    """Give its slot back: last, for who kills the process by its reply did it too."""


class Move(NamedTuple):
    """One row: where an event leads, and what is done on the way."""

    to: State
    do: int


_GONE = Do.RELEASE | Do.LEAVE  # plain numbers: a set of flags would make each test dear

_ROWS: dict[Event, dict[State, tuple[State, int]]] = {
    Event.START: {
        State.WAITING: (State.STEPPED, Do.BEGIN),
        State.INSISTING: (State.STEPPED, Do.BEGIN),
    },
    Event.WAIT: {State.STEPPED: (State.SUSPENDED, Do.ARM)},
    Event.RETURN: {
        State.STEPPED: (State.CONCLUDING, Do.STILL),
        State.SUSPENDED: (State.CONCLUDING, Do.STILL),
        State.PUT_OFF: (State.CONCLUDING_OUTSIDE, Do.STILL | Do.PAY),
        State.OVER: (State.OVER, 0),  # it was left behind
    },
    Event.DEFER: {State.CONCLUDING: (State.PUT_OFF, Do.OWE | Do.ARM | Do.RELEASE)},
    Event.WRITE_ALONE: {State.CONCLUDING: (State.WRITING_OUTSIDE, _GONE)},
    Event.WRITE: {
        State.CONCLUDING: (State.WRITING, Do.LEAVE),
        State.CONCLUDING_OUTSIDE: (State.WRITING_OUTSIDE, Do.LEAVE),
    },
    Event.AGAIN: {
        State.CONCLUDING: (State.RESTING, Do.REST | Do.LEAVE),
        State.CONCLUDING_OUTSIDE: (State.RESTING_OUTSIDE, Do.REST | Do.LEAVE),
        State.WRITING: (State.RESTING, Do.REST),
        State.WRITING_OUTSIDE: (State.RESTING_OUTSIDE, Do.REST),
    },
    Event.INSIST: {
        State.CONCLUDING: (State.INSISTING, Do.INSIST | Do.LEAVE),
        State.CONCLUDING_OUTSIDE: (State.RESTING_OUTSIDE, Do.REST | Do.LEAVE),
        State.WRITING: (State.INSISTING, Do.INSIST),
        State.WRITING_OUTSIDE: (State.RESTING_OUTSIDE, Do.REST),
    },
    Event.END: {
        State.CONCLUDING: (State.OVER, _GONE),
        State.CONCLUDING_OUTSIDE: (State.OVER, Do.LEAVE),
        State.WRITING: (State.OVER, Do.RELEASE),
        State.WRITING_OUTSIDE: (State.OVER, 0),
    },
    Event.REST_OVER: {
        State.RESTING: (State.STEPPED, Do.BEGIN),
        State.RESTING_OUTSIDE: (State.WAITING, Do.QUEUE),
    },
    Event.KEEP: {
        State.RESTING: (State.OVER, Do.RELEASE),
        State.RESTING_OUTSIDE: (State.OVER, 0),
        State.INSISTING: (State.OVER, Do.RELENT | Do.RELEASE),
    },
    Event.CANCEL: {
        State.WAITING: (State.OVER, Do.REMOVE | Do.FORGET),
        State.STEPPED: (State.STEPPED, Do.STOP),
        State.SUSPENDED: (State.SUSPENDED, Do.STOP),
        State.CONCLUDING: (State.CONCLUDING, 0),
        State.PUT_OFF: (State.PUT_OFF, Do.VOID),
        State.CONCLUDING_OUTSIDE: (State.CONCLUDING_OUTSIDE, 0),
        State.WRITING: (State.WRITING, 0),  # too late: it may be on disk already
        State.WRITING_OUTSIDE: (State.WRITING_OUTSIDE, 0),
        State.RESTING: (State.OVER, Do.STILL | Do.FORGET | Do.RELEASE),
        State.RESTING_OUTSIDE: (State.OVER, Do.STILL | Do.FORGET),
        State.INSISTING: (State.OVER, Do.RELENT | Do.FORGET | Do.RELEASE),
    },
    Event.EXPIRE: {
        State.SUSPENDED: (State.SUSPENDED, Do.STOP),
        State.PUT_OFF: (State.PUT_OFF, Do.VOID),
    },
    Event.BREAK: {
        State.STEPPED: (State.OVER, Do.STILL | Do.BURY | _GONE),
        State.SUSPENDED: (State.OVER, Do.STILL | Do.BURY | _GONE),
        State.CONCLUDING: (State.OVER, Do.BURY | _GONE),
        State.PUT_OFF: (State.OVER, Do.STILL | Do.PAY | Do.BURY | Do.LEAVE),
        State.CONCLUDING_OUTSIDE: (State.OVER, Do.BURY | Do.LEAVE),
        State.WRITING: (State.OVER, Do.BURY | Do.RELEASE),
        State.WRITING_OUTSIDE: (State.OVER, Do.BURY),
        State.RESTING: (State.OVER, Do.STILL | Do.BURY | Do.RELEASE),
        State.RESTING_OUTSIDE: (State.OVER, Do.STILL | Do.BURY),
        State.INSISTING: (State.OVER, Do.RELENT | Do.BURY | Do.RELEASE),
        State.OVER: (State.OVER, 0),
    },
    Event.CLOSE: {
        State.WAITING: (State.OVER, 0),
        State.STEPPED: (State.OVER, Do.STILL | _GONE),
        State.SUSPENDED: (State.OVER, Do.STILL | _GONE),
        State.CONCLUDING: (State.OVER, _GONE),  # an exit of the process went through it
        State.PUT_OFF: (State.OVER, Do.STILL | Do.PAY | Do.LEAVE),
        State.CONCLUDING_OUTSIDE: (State.OVER, Do.LEAVE),
        State.WRITING: (State.WRITING, 0),  # it is answered if the mailbox still commits
        State.WRITING_OUTSIDE: (State.WRITING_OUTSIDE, 0),
        State.RESTING: (State.OVER, Do.STILL | Do.RELEASE),
        State.RESTING_OUTSIDE: (State.OVER, Do.STILL),
        State.INSISTING: (State.OVER, Do.RELENT | Do.RELEASE),
    },
}

TABLE: Final[dict[tuple[Event, State], Move]] = {
    (event, state): Move(to, do) for event, row in _ROWS.items() for state, (to, do) in row.items()
}
"""Every pair that can happen."""

Row = tuple[tuple[int, int] | None, ...]
"""One event's moves, by state: the next one, and the sum of what is done; None where it cannot
happen. A turn takes three at least: a dictionary of pairs costs four times as much as this, and a
member of an enum as an index twice as much as a plain number."""


def _row(event: Event) -> Row:
    moves = (TABLE.get((event, state)) for state in State)
    return tuple(None if move is None else (int(move.to), int(move.do)) for move in moves)


ROWS: Final[tuple[Row, ...]] = tuple(_row(event) for event in Event)
START, WAIT, RETURN, DEFER, WRITE_ALONE, WRITE, AGAIN, INSIST = ROWS[:8]
END, REST_OVER, KEEP, CANCEL, EXPIRE, BREAK, CLOSE = ROWS[8:]
"""The events as the shell names them."""
