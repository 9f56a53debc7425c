"""The age of latency-first items, by two clocks that agree on nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.streams.age import DRIFT, LIFETIME, MICROSECONDS, SPAN, Clock

APART = -12345.0
"""What the writer's clock shows beyond the reader's."""


def stamp(at: float) -> int:
    return int((at + 1e6 + APART) * MICROSECONDS)


def age(clock: Clock, sent: float, came: float) -> float:
    return came - clock.sent_at(stamp(sent), came)


def test_the_first_item_counts_as_fresh():
    assert age(Clock(), 1.0, 9.0) == pytest.approx(0.0, abs=1e-5)


def test_what_waited_beyond_the_quickest_item_is_its_age():
    clock = Clock()
    age(clock, 1.0, 1.02)
    assert age(clock, 2.0, 5.02) == pytest.approx(3.0, abs=1e-3)
    assert age(clock, 5.1, 5.12) == pytest.approx(0.0, abs=1e-5)


def test_a_quicker_item_corrects_what_counted_as_fresh():
    clock = Clock()
    age(clock, 1.0, 1.5)
    assert age(clock, 1.6, 1.61) == pytest.approx(0.0, abs=1e-5)
    assert age(clock, 1.7, 2.2) == pytest.approx(0.49, abs=1e-3)


def test_an_item_behind_a_long_pause_is_compared_with_those_before_it():
    clock = Clock()
    age(clock, 0.0, 0.01)
    paused = 60.0
    assert age(clock, paused, paused + 3.01) == pytest.approx(3.0, abs=paused * DRIFT)


def test_a_way_that_became_longer_is_no_age_any_more_after_two_spans():
    clock = Clock()
    age(clock, 0.0, 0.01)
    ages = [age(clock, at / 10, at / 10 + 0.3) for at in range(1, int(25 * SPAN))]
    assert ages[0] > LIFETIME > ages[-1]


@given(st.floats(0.0, 0.0001), st.lists(st.floats(0.01, 30.0), min_size=1, max_size=50))
def test_clocks_that_part_slowly_make_no_fresh_item_old(drift: float, pauses: list[float]):
    clock, now = Clock(), 0.0
    for pause in pauses:
        now += pause
        assert now - clock.sent_at(stamp(now * (1 - drift)), now) <= LIFETIME


@given(st.lists(st.tuples(st.floats(0.0, 10.0), st.floats(0.0, 5.0)), max_size=50))
def test_no_item_is_younger_than_new_nor_older_than_its_way(ways: list[tuple[float, float]]):
    clock, sent = Clock(), 0.0
    for pause, way in ways:
        sent += pause
        assert -1e-5 <= age(clock, sent, sent + way) <= way + 1e-5
