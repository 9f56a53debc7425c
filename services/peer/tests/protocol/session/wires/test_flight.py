"""How much bulk may be under way: what the measurements say, and that nothing ever stands still."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.wires.flight import (
    BASES,
    FRAME_COST,
    GRAIN,
    LEAST_BYTES,
    MOST_BYTES,
    PATIENCE,
    RATE_KEPT,
    ROUND_TRIP_KEPT,
    STRETCH,
    Flight,
)

BASE = 1024 * 1024
MB = 1_000_000


def flight_at(rate: float) -> Flight:
    """One that has measured ``rate``, in bytes a second."""
    flight = Flight()
    flight.begin(BASE)
    run(flight, rate, 0.0, 2 * STRETCH)
    return flight


def run(flight: Flight, rate: float, begin: float, end: float, *, is_held: bool = True) -> None:
    """Let as much arrive."""
    flight.arrived(1, begin)
    now = begin
    while now < end:
        now += STRETCH
        flight.was_held = is_held
        flight.arrived(round(rate * STRETCH), now)


def test_before_anything_is_measured_the_base_of_the_wire_may_be_under_way() -> None:
    flight = Flight()
    assert (flight.limit, flight.rate, flight.least) == (MOST_BYTES, 0.0, inf)
    for base in BASES.values():
        flight.begin(base)
        assert flight.limit == base


def test_every_kind_of_wire_has_a_base_within_the_bounds() -> None:
    assert BASES.keys() == set(WireKind)
    assert all(LEAST_BYTES <= base <= MOST_BYTES for base in BASES.values())


def test_a_fast_path_may_hold_the_base() -> None:
    assert flight_at(200 * MB).limit == BASE


def test_a_slow_path_may_hold_what_it_delivers_while_patience_lasts() -> None:
    assert flight_at(4 * MB).limit == pytest.approx(4 * MB * PATIENCE, rel=0.01)


def test_the_slowest_path_may_hold_the_least() -> None:
    assert flight_at(1000).limit == LEAST_BYTES


def test_a_long_path_may_hold_twice_what_it_holds_beside() -> None:
    flight = flight_at(10 * MB)
    flight.round_trip(0.1, 1.0)
    run(flight, 10 * MB, 1.0, 1.1)
    wanted = 10 * MB * (PATIENCE + 2 * (0.1 - GRAIN))
    assert flight.limit == pytest.approx(wanted, rel=0.02)


def test_a_round_trip_that_a_clock_cannot_tell_from_none_adds_nothing() -> None:
    flight = flight_at(200 * MB)
    flight.round_trip(GRAIN, 1.0)
    run(flight, 200 * MB, 1.0, 1.1)
    assert flight.limit == BASE


def test_however_long_and_fast_a_path_is_there_is_a_most() -> None:
    flight = flight_at(1000 * MB)
    flight.round_trip(5.0, 1.0)
    run(flight, 1000 * MB, 1.0, 1.1)
    assert flight.limit == MOST_BYTES


def test_the_least_round_trip_counts_not_the_newest() -> None:
    flight = flight_at(1 * MB)
    for seconds in (0.3, 0.02, 0.5):
        flight.round_trip(seconds, 1.0)
    assert flight.least == 0.02


def test_a_round_trip_that_has_become_longer_is_believed_after_a_while() -> None:
    flight = flight_at(1 * MB)
    flight.round_trip(0.02, 0.0)
    flight.round_trip(0.2, ROUND_TRIP_KEPT)
    assert flight.least == 0.02
    flight.round_trip(0.2, 2 * ROUND_TRIP_KEPT)
    assert flight.least == 0.2


def test_it_is_looked_for_with_half_as_much_under_way_for_two_of_them() -> None:
    flight = flight_at(4 * MB)
    flight.round_trip(0.02, 0.0)
    for now in (ROUND_TRIP_KEPT, 2 * ROUND_TRIP_KEPT):
        flight.round_trip(0.2, now)
    run(flight, 4 * MB, 2 * ROUND_TRIP_KEPT, 2 * ROUND_TRIP_KEPT + 0.05)
    halved = flight.limit
    run(flight, 4 * MB, 2 * ROUND_TRIP_KEPT + 0.05, 2 * ROUND_TRIP_KEPT + 0.5)
    assert flight.limit == pytest.approx(2 * halved, rel=0.02)


def test_it_is_not_looked_for_while_it_stays_as_short() -> None:
    flight = flight_at(4 * MB)
    for now in (0.0, ROUND_TRIP_KEPT, 2 * ROUND_TRIP_KEPT):
        flight.round_trip(0.02, now)
    run(flight, 4 * MB, 2 * ROUND_TRIP_KEPT, 2 * ROUND_TRIP_KEPT + 0.05)
    wanted = 4 * MB * (PATIENCE + 2 * (0.02 - GRAIN))
    assert flight.limit == pytest.approx(wanted, rel=0.02)


def test_the_highest_rate_of_late_counts_for_a_far_side_that_pauses_is_no_slow_one() -> None:
    flight = flight_at(200 * MB)
    run(flight, 1 * MB, 0.1, 0.1 + RATE_KEPT / 2)
    assert flight.limit == BASE


def test_a_path_that_has_become_slow_is_believed_after_a_while() -> None:
    flight = flight_at(200 * MB)
    run(flight, 1 * MB, 0.1, 0.1 + 3 * RATE_KEPT)
    assert flight.limit == LEAST_BYTES


def test_what_is_sent_slowly_says_nothing_of_the_path() -> None:
    flight = flight_at(200 * MB)
    run(flight, 1 * MB, 0.1, 0.1 + 5 * RATE_KEPT, is_held=False)
    assert flight.limit == BASE


def test_what_arrives_within_a_stretch_is_counted_as_one() -> None:
    flight = Flight()
    flight.begin(BASE)
    flight.arrived(1, 0.0)
    for part in range(1, 11):
        flight.arrived(10_000, part * STRETCH / 10)
    assert flight.rate == pytest.approx(100_000 / STRETCH)


def test_another_wire_begins_anew() -> None:
    flight = flight_at(1000)
    flight.round_trip(0.1, 1.0)
    flight.begin(BASE)
    assert (flight.limit, flight.rate, flight.least) == (BASE, 0.0, inf)


def test_it_says_what_it_knows() -> None:
    flight = flight_at(1 * MB)
    flight.round_trip(0.25, 1.0)
    assert repr(flight) == f"<Flight: {LEAST_BYTES} bytes at 1000000/s, 0.25 s>"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["arrived", "round trip", "begin", "held"]),
        st.floats(0, 20),
        st.integers(0, 1 << 40),
        st.floats(0, 1e6),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_is_measured_the_bound_stays_within_its_bounds(
    steps: list[tuple[str, float, int, float]],
) -> None:
    flight, now = Flight(), 0.0
    for what, later, size, seconds in steps:
        now += later
        if what == "arrived":
            flight.arrived(size + FRAME_COST, now)
        elif what == "round trip":
            flight.round_trip(seconds, now)
        elif what == "begin":
            flight.begin(BASES[WireKind.WEBRTC])
        else:
            flight.was_held = True
        assert LEAST_BYTES <= flight.limit <= MOST_BYTES
