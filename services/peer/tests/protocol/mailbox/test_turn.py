"""The life of a turn: every pair of event and state, and what many turns hold and give back."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.mailbox.turn import ROWS, TABLE, Do, Event, State
from actr_peer.protocol.mailbox.turns import Turns

RUNS = frozenset({State.STEPPED, State.SUSPENDED})
CONCLUDES = frozenset({State.CONCLUDING, State.CONCLUDING_OUTSIDE})
WRITES = frozenset({State.WRITING, State.WRITING_OUTSIDE})
RESTS = frozenset({State.RESTING, State.RESTING_OUTSIDE})
INSISTS = frozenset({State.INSISTING})
WAITS = frozenset({State.WAITING})
PUT_OFF = frozenset({State.PUT_OFF})
OVER = frozenset({State.OVER})

PLACED = RUNS | INSISTS | {State.CONCLUDING, State.WRITING, State.RESTING}
"""They keep others waiting."""
SLOTTED = RUNS | CONCLUDES | PUT_OFF
"""They are blamed, should the process die."""

ALL = frozenset(State)
IMPOSSIBLE: dict[Event, dict[str, frozenset[State]]] = {
    Event.START: {
        "only what waits or insists is taken": ALL - WAITS - INSISTS,
    },
    Event.WAIT: {
        "a handler that has a task stays in it": frozenset({State.SUSPENDED}),
        "no handler runs": ALL - RUNS,
    },
    Event.RETURN: {
        "no handler runs, and no reply is owed": ALL - RUNS - PUT_OFF - OVER,
    },
    Event.DEFER: {
        "a reply that came cannot be put off again": frozenset({State.CONCLUDING_OUTSIDE}),
        "no handler has just returned": ALL - CONCLUDES,
    },
    Event.WRITE_ALONE: {
        "what has no place does not run alone": frozenset({State.CONCLUDING_OUTSIDE}),
        "there is no outcome": ALL - CONCLUDES,
    },
    Event.WRITE: {"there is no outcome": ALL - CONCLUDES},
    Event.AGAIN: {"nothing has failed": ALL - CONCLUDES - WRITES},
    Event.INSIST: {"nothing has failed": ALL - CONCLUDES - WRITES},
    Event.END: {"there is no outcome": ALL - CONCLUDES - WRITES},
    Event.REST_OVER: {"its timer has ended with its rest": ALL - RESTS},
    Event.KEEP: {
        "what waits is just not started": WAITS,
        "what runs goes on to its end": RUNS | CONCLUDES | PUT_OFF | WRITES,
        "it is over": OVER,
    },
    Event.CANCEL: {"the mailbox does not know what is over": OVER},
    Event.EXPIRE: {
        "its timer is armed while it waits for something": ALL - PUT_OFF - {State.SUSPENDED},
    },
    Event.BREAK: {"nothing of it runs that could fail": WAITS},
    Event.CLOSE: {"it is over": OVER},
}
"""Why the other pairs cannot happen."""


def test_every_pair_is_in_the_table_or_impossible_for_one_reason() -> None:
    for event in Event:
        why_not = [state for states in IMPOSSIBLE[event].values() for state in states]
        possible = [state for state in State if (event, state) in TABLE]
        assert sorted([*why_not, *possible]) == list(State), event.name


def test_the_rows_are_the_table() -> None:
    for event, row in zip(Event, ROWS, strict=True):
        assert list(row) == [TABLE.get((event, state)) for state in State]
        assert {type(number) for move in row if move for number in move} == {int}


def test_what_a_turn_holds_is_given_back_exactly_where_the_next_state_has_it_no_more() -> None:
    for (event, state), (to, do) in TABLE.items():
        pair = f"{event.name} {state.name}"
        has_place = state in PLACED or event is Event.START  # it was taken just now
        has_slot = state in SLOTTED
        assert bool(do & Do.RELEASE) == (has_place and to not in PLACED), pair
        assert bool(do & Do.LEAVE) == (has_slot and to not in SLOTTED), pair
        assert bool(do & Do.BEGIN) == (to in SLOTTED and not has_slot), pair
        assert bool(do & Do.OWE) == (to in PUT_OFF and state not in PUT_OFF), pair
        assert bool(do & Do.PAY) == (state in PUT_OFF and to not in PUT_OFF), pair


def test_what_has_a_timer_ends_it_where_it_goes_on_without_one() -> None:
    for (event, state), (to, do) in TABLE.items():
        if state in PUT_OFF | RUNS | RESTS and to is not state and event is not Event.WAIT:
            ends_by_itself = event in (Event.REST_OVER, Event.KEEP)
            assert bool(do & Do.STILL) != ends_by_itself, f"{event.name} {state.name}"


def test_nothing_leads_back_from_the_end() -> None:
    assert {move.to for (_, state), move in TABLE.items() if state is State.OVER} == {State.OVER}
    assert all(move.do == 0 for (_, state), move in TABLE.items() if state is State.OVER)


@pytest.mark.parametrize("event", [Event.CANCEL, Event.BREAK, Event.CLOSE, Event.KEEP])
def test_what_ends_a_turn_out_of_turn_answers_for_it_or_keeps_it(event: Event) -> None:
    answers = {Event.CANCEL: Do.FORGET, Event.BREAK: Do.BURY, Event.CLOSE: 0, Event.KEEP: 0}
    for (other, state), (to, do) in TABLE.items():
        if other is event and to is State.OVER and state is not State.OVER:
            assert do & (Do.FORGET | Do.BURY) == answers[event], state.name


@dataclass(eq=False)
class Life:
    """One turn, as the simulation knows it."""

    conflict_key: str | None
    is_signal: bool
    state: State = State.WAITING
    ends: list[str] = field(default_factory=list)
    has_place: bool = False
    has_slot: bool = False


class Actor:
    """Does what the core says, as the scheduler does; holds only what is handed out."""

    def __init__(self) -> None:
        self.turns: Turns[Life] = Turns(3)
        self.lives: list[Life] = []
        self.owed = 0
        self.is_taking = True

    def add(self, key: str | None, *, is_signal: bool) -> None:
        life = Life(key, is_signal)
        self.lives.append(life)
        self.turns.add(life)

    def start_all(self) -> None:
        while self.is_taking and (life := self.turns.take()) is not None:
            life.has_place = True
            self.move(life, Event.START)

    def move(self, life: Life, event: Event, end: str = "") -> None:
        to, do = TABLE[event, life.state]
        was, life.state = life.state, to
        if do & Do.BEGIN:
            assert not life.has_slot
            life.has_slot = True
        if do & Do.REMOVE:
            assert self.turns.remove(life)
        if do & Do.RELENT:
            self.turns.relent(life)
        self.owed += bool(do & Do.OWE) - bool(do & Do.PAY)
        if do & Do.INSIST:
            self.turns.insist(life)
        if do & Do.QUEUE:
            self.turns.add(life)
        if do & (Do.FORGET | Do.BURY):
            end = "forgotten" if do & Do.FORGET else "buried"
        if do & Do.RELEASE:
            assert life.has_place
            life.has_place = False
            self.turns.finish(life)
        if do & Do.LEAVE:
            assert life.has_slot
            life.has_slot = False
        if to is State.OVER and was is not State.OVER:
            life.ends.append(end)

    def check(self) -> None:
        placed = [life for life in self.lives if life.has_place]
        assert self.turns.active == len(placed)
        assert self.owed == sum(life.state is State.PUT_OFF for life in self.lives)
        for life in self.lives:
            assert life.has_place == (life.state in PLACED)
            assert life.has_slot == (life.state in SLOTTED)
            assert len(life.ends) == (life.state is State.OVER)

    def drain(self) -> None:
        self.is_taking = False
        for life in self.lives:
            if life.state is State.INSISTING:
                self.move(life, Event.KEEP, "kept")

    def is_idle(self) -> bool:
        return not self.turns.active and not self.owed


CHOICES: dict[State, list[tuple[Event, str]]] = {
    State.WAITING: [(Event.CANCEL, "")],
    State.STEPPED: [(Event.WAIT, ""), (Event.RETURN, ""), (Event.BREAK, "")],
    State.SUSPENDED: [
        (Event.RETURN, ""), (Event.CANCEL, ""), (Event.EXPIRE, ""), (Event.BREAK, "")
    ],
    State.CONCLUDING: [
        (Event.DEFER, ""), (Event.WRITE_ALONE, ""), (Event.WRITE, ""), (Event.AGAIN, ""),
        (Event.INSIST, ""), (Event.END, "answered"), (Event.BREAK, ""),
    ],
    State.PUT_OFF: [(Event.RETURN, ""), (Event.CANCEL, ""), (Event.EXPIRE, "")],
    State.CONCLUDING_OUTSIDE: [
        (Event.WRITE, ""), (Event.AGAIN, ""), (Event.END, "answered"), (Event.BREAK, "")
    ],
    State.WRITING: [
        (Event.END, "answered"), (Event.AGAIN, ""), (Event.INSIST, ""), (Event.CANCEL, "")
    ],
    State.WRITING_OUTSIDE: [(Event.END, "answered"), (Event.AGAIN, ""), (Event.INSIST, "")],
    State.RESTING: [(Event.REST_OVER, ""), (Event.CANCEL, "")],
    State.RESTING_OUTSIDE: [(Event.REST_OVER, ""), (Event.CANCEL, "")],
    State.INSISTING: [(Event.CANCEL, "")],
    State.OVER: [(Event.RETURN, ""), (Event.BREAK, "")],
}  # fmt: skip
"""What may come next, and what an end is then: a shell that is alive gives no other events."""

WAY_OUT = {
    State.STEPPED: Event.RETURN,
    State.SUSPENDED: Event.RETURN,
    State.CONCLUDING: Event.END,
    State.PUT_OFF: Event.RETURN,
    State.CONCLUDING_OUTSIDE: Event.END,
    State.WRITING: Event.END,
    State.WRITING_OUTSIDE: Event.END,
}

ARRIVALS = st.lists(st.tuples(st.sampled_from([None, "a", "b"]), st.booleans()), max_size=12)
STEPS = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 6)), max_size=60)


def wander(
    actor: Actor, arrivals: list[tuple[str | None, bool]], steps: list[tuple[int, int]]
) -> None:
    """Turns come, and random things happen to them."""
    for key, is_signal in arrivals:
        actor.add(key, is_signal=is_signal)
    actor.start_all()
    for which, what in steps:
        if not actor.lives:
            return
        life = actor.lives[which % len(actor.lives)]
        choices = CHOICES[life.state]
        event, end = choices[what % len(choices)]
        actor.move(life, event, end)
        actor.check()
        actor.start_all()
        actor.check()


@given(arrivals=ARRIVALS, steps=STEPS)
def test_draining_ends_when_all_that_ran_is_over_and_each_has_ended_once(
    arrivals: list[tuple[str | None, bool]], steps: list[tuple[int, int]]
) -> None:
    actor = Actor()
    wander(actor, arrivals, steps)
    actor.drain()
    actor.check()
    for _ in range(4):  # the longest way: a handler, a promise, an outcome
        for life in actor.lives:
            if life.state in RESTS:
                actor.move(life, Event.KEEP, "kept")
            elif life.state in WAY_OUT:
                event = WAY_OUT[life.state]
                actor.move(life, event, "answered" if event is Event.END else "")
            actor.check()
    assert actor.is_idle()
    assert {life.state for life in actor.lives} <= {State.WAITING, State.OVER}
    for life in actor.lives:
        assert len(life.ends) == (life.state is State.OVER)
        assert set(life.ends) <= {"answered", "forgotten", "buried", "kept"}


@given(arrivals=ARRIVALS, steps=STEPS)
def test_closing_takes_every_place_and_slot_back_and_keeps_what_was_accepted(
    arrivals: list[tuple[str | None, bool]], steps: list[tuple[int, int]]
) -> None:
    actor = Actor()
    wander(actor, arrivals, steps)
    actor.is_taking = False
    for life in actor.lives:
        if life.state is not State.OVER:
            actor.move(life, Event.CLOSE, "kept")
    actor.check()
    assert not any(life.has_slot for life in actor.lives)
    for life in actor.lives:
        if life.state in WRITES:  # the mailbox commits to its end
            actor.move(life, Event.END, "answered")
        assert life.state is State.OVER
        assert len(life.ends) == 1
        actor.move(life, Event.RETURN)  # of a handler that was left behind
    actor.check()
    assert actor.is_idle()
