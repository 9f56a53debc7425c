"""One half of a stream inside the process: every event in every state, and its bounds."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.streams.pipe import (
    FIRST_WINDOW,
    TABLE,
    WINDOW,
    WINDOW_BYTES,
    Pipe,
    PipeEvent,
    PipeState,
)

OPEN, HALF_CLOSED = PipeState.OPEN, PipeState.HALF_CLOSED
ENDED, FAILED = PipeState.ENDED, PipeState.FAILED
MOVES = {
    (OPEN, PipeEvent.END): HALF_CLOSED,
    (OPEN, PipeEvent.CLOSE): ENDED,
    (OPEN, PipeEvent.FAIL): FAILED,
    (HALF_CLOSED, PipeEvent.DRAINED): ENDED,
    (HALF_CLOSED, PipeEvent.CLOSE): ENDED,
    (HALF_CLOSED, PipeEvent.FAIL): FAILED,
}
ERROR = ValueError("late")


@pytest.mark.parametrize(("state", "event"), list(itertools.product(PipeState, PipeEvent)))
def test_every_event_in_every_state_moves_it_as_the_table_says_or_not_at_all(
    state: PipeState, event: PipeEvent
) -> None:
    pipe: Pipe[int] = Pipe(is_metered=True)
    pipe.state = state
    assert pipe.step(event) is ((state, event) in MOVES)
    assert pipe.state is MOVES.get((state, event), state)
    assert dict(TABLE) == MOVES


def test_what_is_over_stays_over() -> None:
    for end in ("end", "fail", "close"):
        pipe: Pipe[int] = Pipe(is_metered=True)
        pipe.fail(ERROR) if end == "fail" else getattr(pipe, end)()
        assert not pipe.is_open
        assert not pipe.end()
        assert not pipe.end(ERROR)
        assert not pipe.fail(ValueError("later"))
        assert not pipe.close()
        assert pipe.error is (ERROR if end == "fail" else None)


def test_an_error_of_the_writer_is_due_after_the_items_before_it() -> None:
    pipe: Pipe[int] = Pipe(is_metered=True)
    pipe.put(1, 10)
    assert pipe.end(ERROR)
    assert (pipe.state, pipe.error, len(pipe)) == (FAILED, ERROR, 1)
    assert pipe.take() == 1
    assert pipe.state is FAILED


def test_an_end_is_over_when_the_last_item_was_taken() -> None:
    pipe: Pipe[int] = Pipe(is_metered=True)
    pipe.put(1, 10)
    pipe.put(2, 10)
    assert pipe.end()
    assert pipe.take() == 1
    assert pipe.state is HALF_CLOSED
    assert pipe.take() == 2
    assert (pipe.state, pipe.held_bytes) == (ENDED, 0)


def test_a_reader_that_leaves_drops_what_is_held() -> None:
    pipe: Pipe[int] = Pipe(is_metered=True)
    pipe.put(1, 10)
    assert pipe.close()
    assert (len(pipe), pipe.held_bytes, pipe.state) == (0, 0, ENDED)


def test_a_pipe_that_begins_has_less_room_until_its_writer_has_waited_once() -> None:
    pipe: Pipe[int] = Pipe(is_metered=True)
    for number in range(FIRST_WINDOW):
        assert pipe.has_room
        pipe.put(number, 1)
    assert not pipe.has_room
    assert pipe.widen()
    for number in range(FIRST_WINDOW, WINDOW):
        assert pipe.has_room
        pipe.put(number, 1)
    assert not pipe.has_room
    assert not pipe.widen()
    assert [pipe.take() for _ in range(WINDOW)] == list(range(WINDOW))


@pytest.mark.parametrize(("size", "holds"), [(1, WINDOW), (WINDOW_BYTES // 4, 4)])
def test_a_full_pipe_has_no_room_and_drops_its_oldest_where_nobody_waits(
    size: int, holds: int
) -> None:
    pipe: Pipe[int] = Pipe(is_metered=False)
    for number in range(holds):
        assert pipe.has_room
        pipe.put(number, size)
    assert not pipe.has_room
    pipe.put(holds, size)
    assert (pipe.dropped, len(pipe), pipe.take()) == (1, holds, 1)


def test_what_is_too_old_goes_and_is_counted() -> None:
    pipe: Pipe[int] = Pipe(is_metered=False)
    for number in range(3):
        pipe.put(number, 10, at=float(number))
    pipe.drop_older(1.0)
    assert (pipe.stale, pipe.dropped, pipe.held_bytes) == (1, 0, 20)
    assert pipe.take() == 1
    pipe.end()
    pipe.drop_older(9.0)
    assert (pipe.stale, pipe.state) == (2, ENDED)


@given(
    st.booleans(),
    st.lists(
        st.one_of(
            st.integers(1, 2 * WINDOW_BYTES).map(lambda size: ("put", size)),
            st.sampled_from([("take", 0), ("end", 0), ("fail", 0), ("close", 0)]),
        ),
        max_size=200,
    ),
)
def test_items_come_in_order_inside_the_bounds_and_none_is_lost_but_the_oldest(
    is_metered: bool, steps: list[tuple[str, int]]
) -> None:
    pipe: Pipe[int] = Pipe(is_metered=is_metered)
    put, taken, is_closed = 0, [], False
    sizes: dict[int, int] = {}
    for what, size in steps:
        if what == "put" and pipe.is_open and (pipe.has_room or not is_metered):
            sizes[put] = size
            pipe.put(put, size)
            put += 1
        elif what == "take" and len(pipe):
            taken.append(pipe.take())
        elif what == "end":
            pipe.end()
        elif what == "fail":
            pipe.fail(ERROR)
        elif what == "close":
            is_closed = pipe.close() or is_closed
        assert len(pipe) <= WINDOW
        assert pipe.held_bytes < WINDOW_BYTES + max(sizes.values(), default=1)
        if not is_metered:
            assert pipe.held_bytes <= WINDOW_BYTES or len(pipe) == 1
    while len(pipe):
        taken.append(pipe.take())
    assert taken == sorted(taken)
    assert is_metered <= (pipe.dropped == 0)
    if pipe.state is not ENDED or not is_closed:
        assert len(taken) + pipe.dropped >= put or any(what == "close" for what, _ in steps)
