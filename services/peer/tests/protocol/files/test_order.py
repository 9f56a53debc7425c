from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import (
    BrokenError,
    CallError,
    ClosedError,
    Code,
    ConfigError,
    DeadlineError,
    PeerError,
    RemoteProtocolError,
    UnreachableError,
)
from actr_peer.protocol.files.order import (
    FIRST_DELAY,
    MAX_DELAY,
    RECEIVING,
    SENDING,
    Event,
    Order,
    State,
    next_try,
)


@pytest.mark.parametrize("table", [RECEIVING, SENDING], ids=["receiving", "sending"])
def test_every_pair_is_a_row_or_an_error_that_changes_nothing(
    table: dict[tuple[State, Event], State],
) -> None:
    for state, event in product(State, Event):
        order = Order(table)
        order.state = state
        if (state, event) in table:
            order.hear(event)
            assert order.state is table[state, event]
        else:
            with pytest.raises(RemoteProtocolError):
                order.hear(event)
            assert order.state is state


@given(st.lists(st.sampled_from(Event), max_size=30))
def test_no_piece_is_taken_before_a_proof(events: list[Event]) -> None:
    order = Order(RECEIVING)
    heard = []
    for event in events:
        try:
            order.hear(event)
        except RemoteProtocolError:
            break
        heard.append(event)
    if Event.PIECE in heard:
        assert heard.index(Event.PROOF) < heard.index(Event.PIECE)
    if Event.END in heard:
        assert heard[-1] is Event.END


def call_error(code: Code, *, retryable: bool = False, after: float | None = None) -> CallError:
    return CallError(code, "x", retryable=retryable, retry_after=after)


@pytest.mark.parametrize(
    ("error", "was_accepted", "passes"),
    [
        (BrokenError("x"), False, True),
        (UnreachableError("x", "y"), False, True),
        (DeadlineError("x"), False, True),
        (ClosedError("x"), True, False),
        (ConfigError("x"), True, False),
        (call_error(Code.UNIMPLEMENTED), False, False),
        (call_error(Code.UNIMPLEMENTED), True, True),
        (call_error(Code.CANCELLED), False, True),
        (call_error(Code.RESOURCE_EXHAUSTED), True, False),
        (call_error(Code.RESOURCE_EXHAUSTED, retryable=True), False, True),
        (call_error(Code.DATA_LOSS), True, False),
    ],
)
def test_a_sender_tries_again_what_may_pass(
    error: PeerError, *, was_accepted: bool, passes: bool
) -> None:
    delay = next_try(error, was_accepted=was_accepted, failures=1, left_seconds=60)
    assert delay == (FIRST_DELAY if passes else None)


def test_delays_grow_and_heed_what_the_receiver_says() -> None:
    error = BrokenError("x")
    assert next_try(error, was_accepted=True, failures=99, left_seconds=60) == MAX_DELAY
    error = call_error(Code.ABORTED, retryable=True, after=1.0)
    assert next_try(error, was_accepted=True, failures=1, left_seconds=60) == 1.0


def test_no_try_begins_when_there_is_no_time_left() -> None:
    assert next_try(BrokenError("x"), was_accepted=True, failures=1, left_seconds=0.1) is None
