"""Waits double up to their bound, and start anew after a success."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.wire.backoff import Backoff, doubled


def test_each_failure_doubles_the_wait_up_to_the_bound() -> None:
    assert [doubled(0.5, n, 3.0) for n in range(6)] == [0.5, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_failures_without_number_are_no_overflow() -> None:
    assert doubled(1.0, 10**6, 10.0) == 10.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.01, 1), st.floats(1, 60))
def test_the_wait_grows_to_its_bound_and_never_over(
    dice: list[float], first: float, most: float
) -> None:
    backoff = Backoff(first=first, most=most)
    waits = [backoff.failed(value) for value in dice]
    assert all(0 < wait <= most for wait in waits)
    assert waits[0] <= first
    backoff.succeeded()
    assert backoff.failed(1.0) <= first


def test_the_dice_choose_between_half_of_the_wait_and_all_of_it() -> None:
    backoff = Backoff(first=1.0, most=5.0)
    assert [backoff.failed(dice) for dice in (0.0, 1.0, 0.5)] == [0.5, 2.0, 3.0]
    backoff.succeeded()
    assert backoff.failed(1.0) == 1.0
