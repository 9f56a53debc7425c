"""The table of a stream's halves: every pair, and every way through."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.streams.states import OVER, TABLE, Input, Side, State

WAITING, OPEN, CLOSED, ENDED, FAILED = State
GRANT, END, DRAINED, CLOSE, FAIL = Input
EXPECTED = {
    Side.WRITER: {
        WAITING: {GRANT: OPEN, END: CLOSED, FAIL: FAILED},
        OPEN: {GRANT: OPEN, END: ENDED, FAIL: FAILED},
        CLOSED: {GRANT: ENDED, FAIL: FAILED},
    },
    Side.READER: {
        WAITING: {GRANT: OPEN, CLOSE: ENDED, FAIL: FAILED},
        OPEN: {GRANT: OPEN, END: CLOSED, CLOSE: ENDED, FAIL: FAILED},
        CLOSED: {DRAINED: ENDED, CLOSE: ENDED, FAIL: FAILED},
    },
}


@pytest.mark.parametrize(("side", "state", "event"), list(product(Side, State, Input)))
def test_every_side_state_and_event_is_as_the_page_says(side: Side, state: State, event: Input):
    assert TABLE.get((side, state, event)) is EXPECTED[side].get(state, {}).get(event)


@given(side=st.sampled_from(Side), events=st.lists(st.sampled_from(Input)))
def test_what_is_over_stays_over_and_an_error_always_ends_the_rest(side: Side, events: list[Input]):
    state = State.WAITING
    for event in events:
        after = TABLE.get((side, state, event), state)
        assert after is state or state not in OVER
        state = after
    assert TABLE.get((side, state, Input.FAIL), state) in OVER
