from __future__ import annotations

from itertools import pairwise

from actr_peer.protocol.session.wires.heartbeat import (
    FAILED_AFTER,
    FASTEST,
    IDLE,
    SLOWEST,
    Heartbeat,
)
from actr_peer.protocol.session.wires.policy import WireState


def run(
    heart: Heartbeat, start: float, seconds: float, *, answers: bool, rtt: float = 0.01
) -> list[float]:
    """Ping when it is time; return the instants."""
    now, pings = start, []
    while now <= start + seconds:
        number = heart.ping(now)
        if number is not None:
            pings.append(now)
            if answers:
                heart.pong(number, now + rtt)
        now = max(now + 0.001, heart.due)
    return pings


def test_an_idle_wire_is_pinged_seldom() -> None:
    heart = Heartbeat(0.0)
    run(heart, 0.0, 1.0, answers=True)
    pings = run(heart, 10.0, 20.0, answers=True)
    assert {round(b - a, 2) for a, b in pairwise(pings)} == {IDLE}


def test_a_busy_wire_is_pinged_often() -> None:
    heart = Heartbeat(0.0)
    run(heart, 0.0, 1.0, answers=True)
    assert heart.busy(1.5)
    assert not heart.busy(1.6)
    pings = run(heart, 1.5, 1.0, answers=True)
    assert len(pings) >= 6
    assert pings[0] <= 1.5 + FASTEST + 1e-9


def test_the_interval_follows_the_round_trip_within_bounds() -> None:
    heart = Heartbeat(0.0)
    assert heart.interval(0.0) == FASTEST
    heart.sample(0.2)
    assert heart.interval(0.0) == 0.4
    for _ in range(10):
        heart.sample(100.0)
    assert heart.interval(0.0) == SLOWEST


def test_under_traffic_a_dead_wire_is_suspect_within_a_second() -> None:
    heart = Heartbeat(0.0)
    run(heart, 0.0, 10.0, answers=True)
    died = 10.5
    heart.busy(died)
    now = died
    while heart.state is WireState.READY:
        now = heart.due
        heart.busy(now)
        heart.ping(now)
    assert now - died <= 1.0


def test_ten_seconds_without_an_answer_are_a_failure() -> None:
    heart = Heartbeat(0.0)
    states = []
    for end in (FAILED_AFTER - 0.6, FAILED_AFTER + 1.5):
        run(heart, heart.due, end - heart.due, answers=False)
        states.append(heart.state)
    assert states == [WireState.SUSPECT, WireState.FAILED]


def test_a_suspect_wire_is_good_again_after_three_answers_in_a_row() -> None:
    heart = Heartbeat(0.0)
    run(heart, 0.0, 2.0, answers=False)
    states = []
    now = 3.0
    for _ in range(3):
        now = max(now, heart.due)
        number = heart.ping(now)
        assert number is not None
        heart.pong(number, now + 0.01)
        states.append(heart.state)
    assert states == [WireState.SUSPECT, WireState.SUSPECT, WireState.READY]


def test_a_process_that_slept_does_not_condemn_its_wires() -> None:
    heart = Heartbeat(0.0)
    run(heart, 0.0, 5.0, answers=True)
    number = heart.ping(3600.0)
    assert heart.state is WireState.READY
    assert number is not None
    heart.pong(number, 3600.01)
    assert heart.missed == 0


def test_frames_known_to_have_arrived_count_as_an_answer() -> None:
    heart = Heartbeat(0.0)
    for step in range(40):
        heart.ping(step * 0.5)
        heart.alive(step * 0.5 + 0.1)
    assert heart.state is WireState.READY


def test_an_answer_that_nobody_asked_for_changes_nothing() -> None:
    heart = Heartbeat(0.0)
    heart.pong(99, 1.0)
    assert (heart.good, heart.srtt) == (0, None)
    number = heart.ping(1.0)
    assert number is not None
    heart.pong(number, 1.1)
    heart.pong(number, 1.2)
    assert heart.good == 1


def test_a_doubted_wire_is_suspect_until_it_answers() -> None:
    heart = Heartbeat(0.0)
    run(heart, 0.0, 1.0, answers=True)
    heart.doubt(2.0)
    assert (heart.state, heart.due) == (WireState.SUSPECT, 2.0)
    run(heart, 2.0, 1.0, answers=True)
    assert heart.state is WireState.READY


def test_pings_without_an_answer_are_not_kept_for_ever() -> None:
    heart = Heartbeat(0.0)
    run(heart, 0.0, 100.0, answers=False)
    assert len(heart._waiting) <= 6


def test_an_answer_that_waited_out_a_break_is_no_measure_of_the_path() -> None:
    heart = Heartbeat(0.0)
    run(heart, 0.0, 1.0, answers=True)
    before = heart.srtt
    heart.busy(1.0)
    numbers: list[int] = []
    while len(numbers) < 3:
        number = heart.ping(heart.due)
        assert number is not None
        numbers.append(number)
    heart.pong(numbers[0], heart.due + 2.0)
    assert heart.srtt == before


def test_one_round_trip_that_stands_out_counts_for_little() -> None:
    heart = Heartbeat(0.0)
    for _ in range(20):
        heart.sample(0.01)
    heart.sample(2.0)
    assert heart.rtt < 0.025
    for _ in range(40):
        heart.sample(2.0)
    assert heart.rtt > 1.5


def test_a_wire_in_doubt_is_suspect_until_it_has_answered_several_times() -> None:
    heart = Heartbeat(0.0)
    run(heart, 0.0, 5.0, answers=True)
    heart.doubt(6.0)
    assert (heart.state, heart.is_trusted) == (WireState.SUSPECT, False)
    heart.doubt(6.0)
    assert heart.state is WireState.SUSPECT
    run(heart, 6.0, 5.0, answers=True)
    assert (heart.state, heart.is_trusted) == (WireState.READY, True)


def test_a_wire_that_failed_is_in_no_doubt() -> None:
    heart = Heartbeat(0.0)
    heart.state = WireState.FAILED
    heart.doubt(1.0)
    assert heart.state is WireState.FAILED
