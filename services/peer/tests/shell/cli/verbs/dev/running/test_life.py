"""When a workload under ``actr dev`` starts, and when it starts again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.cli.verbs.dev.running.life import (
    FIRST_REST,
    MOST_REST,
    STEADY,
    TABLE,
    Event,
    Life,
    State,
)


@pytest.mark.parametrize("state", State)
def test_every_state_takes_every_event(state: State) -> None:
    assert set(TABLE[state]) == set(Event)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", [Event.REFUSED, Event.CRASHED, Event.FINISHED])
def test_the_end_of_a_process_leaves_none_or_starts_one(state: State, event: Event) -> None:
    after = TABLE[state][event]
    assert after not in (State.ONLINE, State.ENDING)


@pytest.mark.parametrize("state", State)
def test_a_change_always_leads_to_a_start(state: State) -> None:
    assert TABLE[state][Event.CHANGE] in (State.STARTING, State.ENDING)
    assert TABLE[State.ENDING][Event.CRASHED] is State.STARTING


@pytest.mark.parametrize("event", [event for event in Event if event is not Event.CHANGE])
def test_code_that_was_refused_waits_for_a_change_alone(event: Event) -> None:
    assert TABLE[State.WAITING][event] is State.WAITING


def crash(life: Life, now: float) -> float:
    assert life.take(Event.READY, now) is State.ONLINE
    assert life.take(Event.CRASHED, now) is State.RESTING
    rest = life.rest
    assert life.take(Event.RESTED, now + rest) is State.STARTING
    return rest


def test_crashes_in_a_row_are_further_and_further_apart() -> None:
    life = Life()
    rests = [crash(life, 0.0) for _ in range(8)]
    assert rests[:3] == [FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST]
    assert rests[-1] == MOST_REST


def test_a_crash_before_it_was_online_counts_as_well() -> None:
    life = Life()
    life.take(Event.CRASHED, 0.0)
    life.take(Event.RESTED, 1.0)
    life.take(Event.CRASHED, 2.0)
    assert life.rest == 2 * FIRST_REST


def test_a_crash_after_a_steady_time_is_the_first_again() -> None:
    life = Life()
    crash(life, 0.0)
    life.take(Event.READY, 10.0)
    life.take(Event.CRASHED, 10.0 + STEADY)
    assert life.rest == FIRST_REST


def test_a_change_makes_a_new_beginning() -> None:
    life = Life()
    crash(life, 0.0)
    crash(life, 0.0)
    life.take(Event.READY, 0.0)
    life.take(Event.CHANGE, 0.0)
    life.take(Event.FINISHED, 0.0)
    life.take(Event.CRASHED, 0.0)
    assert life.rest == FIRST_REST


@given(st.lists(st.tuples(st.sampled_from(Event), st.floats(0, 100))))
def test_a_rest_is_bounded_and_there_is_one_whenever_it_rests(
    events: list[tuple[Event, float]],
) -> None:
    life, now = Life(), 0.0
    for event, step in events:
        now += step
        before = life.state
        assert life.take(event, now) is TABLE[before][event]
        if life.state is State.RESTING:
            assert FIRST_REST <= life.rest <= MOST_REST
