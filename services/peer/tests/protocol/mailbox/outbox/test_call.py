"""The life of a durable call: every state and every event, row by row."""

from __future__ import annotations

from itertools import product

import pytest

from actr_peer.errors import LocalProtocolError
from actr_peer.protocol.mailbox.outbox.call import MOVES, Call, CallEvent, CallState, Step
from actr_peer.protocol.mailbox.outbox.calls import Calls

S, E = CallState, CallEvent
UNANSWERED = {S.STORING, S.OPEN}
NAMED = {S.STORING, S.OPEN, S.ANSWERED, S.KEPT}
WAITS_FOR_THE_DISK = {
    S.STORING: (E.STORED, E.NOT_STORED),
    S.WITHDRAWN: (E.STORED, E.NOT_STORED),
    S.ANSWERED: (E.REPLY_SAVED, E.REPLY_NOT_SAVED),
    S.LEAVING: (E.MARKED, E.NOT_MARKED),
}
WAYS = {
    S.WAITING: (),
    S.STORING: (E.PUT,),
    S.WITHDRAWN: (E.PUT, E.FORGOTTEN),
    S.REFUSED: (E.PUT, E.NOT_STORED),
    S.OPEN: (E.PUT, E.STORED),
    S.ANSWERED: (E.PUT, E.STORED, E.REPLIED),
    S.KEPT: (E.PUT, E.STORED, E.REPLIED, E.REPLY_SAVED),
    S.LEAVING: (E.PUT, E.STORED, E.FORGOTTEN),
    S.GONE: (E.PUT, E.STORED, E.FORGOTTEN, E.MARKED),
}
"""How a call comes there."""


def come_to(state: CallState) -> tuple[Calls[Call, None], Call]:
    """A call in ``state``, alone in its outbox."""
    calls: Calls[Call, None] = Calls()
    call = Call(call_key="key", remote="room", request_id="id")
    for event in WAYS[state]:
        calls.put(call, 1) if event is E.PUT else calls.on(call, event)
    assert call.state is state
    return calls, call


def lists(calls: Calls[Call, None]) -> tuple[object, ...]:
    return calls.named("key"), calls.find("id"), list(calls.unanswered()), list(calls.replied())


@pytest.mark.parametrize(("state", "event"), list(product(S, E)))
def test_an_event_is_a_row_or_an_error_that_changes_nothing(
    state: CallState, event: CallEvent
) -> None:
    calls, call = come_to(state)
    before = lists(calls)
    if (state, event) in MOVES:
        after, steps = MOVES[state, event]
        assert calls.on(call, event) == steps
        assert call.state is after
    else:
        with pytest.raises(LocalProtocolError, match=f"{event.name} .* {state.name}"):
            calls.on(call, event)
        assert (call.state, lists(calls)) == (state, before)


@pytest.mark.parametrize("state", list(S))
def test_a_call_is_listed_by_where_it_stands(state: CallState) -> None:
    calls, call = come_to(state)
    has_key, is_open, is_replied = state in NAMED, state in UNANSWERED, state in NAMED - UNANSWERED
    assert lists(calls) == (
        call if has_key else None,
        call if is_open else None,
        [call] * is_open,
        [call] * is_replied,
    )


def test_a_state_that_waits_for_the_disk_takes_both_ways_it_may_end() -> None:
    for state, events in WAITS_FOR_THE_DISK.items():
        assert all((state, event) in MOVES for event in events)


def test_whatever_has_a_key_may_be_forgotten_and_nothing_else() -> None:
    forgotten = {state for state, event in MOVES if event is E.FORGOTTEN}
    assert forgotten == NAMED
    assert all(MOVES[state, E.FORGOTTEN][0] not in NAMED for state in NAMED)


def test_who_waits_for_a_reply_is_told_as_the_call_stops_being_without_one() -> None:
    for (state, event), (after, steps) in MOVES.items():
        tells = [step for step in steps if step in (Step.ANSWER, Step.FAIL)]
        leaves = state in UNANSWERED and after not in UNANSWERED
        assert len(tells) == int(leaves), f"{event.name} in {state.name}"


def test_only_a_reply_or_a_note_that_is_on_disk_frees_a_number_or_a_row_that_never_was() -> None:
    frees = {event for (_, event), (_, steps) in MOVES.items() if Step.FREE in steps}
    assert frees == {E.NOT_STORED, E.REPLY_SAVED, E.MARKED}


def test_a_call_is_let_go_as_it_leaves_and_once() -> None:
    for (state, event), (after, steps) in MOVES.items():
        enters = after is S.LEAVING and state is not S.LEAVING
        assert (Step.LET_GO in steps) == enters, f"{event.name} in {state.name}"


def test_who_put_a_call_hears_of_its_row_and_of_nothing_else() -> None:
    told = {event for (_, event), (_, steps) in MOVES.items() if Step.TELL in steps}
    assert told == {E.STORED, E.NOT_STORED}


@pytest.mark.parametrize("state", list(S))
def test_what_is_on_disk_has_been_stored(state: CallState) -> None:
    _, call = come_to(state)
    assert call.is_saved == (state not in {S.WAITING, S.STORING, S.WITHDRAWN, S.REFUSED})
