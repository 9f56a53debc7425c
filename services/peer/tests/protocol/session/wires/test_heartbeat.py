from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.session.wires.heartbeat import (
    ASKED,
    BUSY_FOR,
    FAILED_AFTER,
    FASTEST,
    HURRIED,
    IDLE,
    MAX_MISSED,
    SLOWEST,
    Heartbeat,
)
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.wire.grid import GRID


def run(
    heart: Heartbeat,
    start: float,
    seconds: float,
    *,
    answers: bool,
    rtt: float = 0.01,
    traffic: bool = False,
) -> list[float]:
    """Ping when it is time; return the instants."""
    now, pings = start, []
    while now <= start + seconds:
        if traffic:
            heart.busy(now)
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
    pings = run(heart, 1.5, 1.0, answers=True, traffic=True)
    assert len(pings) >= 6
    assert pings[0] <= 1.5 + FASTEST + 1e-9


def test_after_the_last_message_pings_become_seldom() -> None:
    heart = Heartbeat(0.0)
    run(heart, 0.0, 1.0, answers=True)
    heart.busy(20.0)
    pings = run(heart, 20.0, 10.0, answers=True)
    assert [round(at - 20.0, 2) for at in pings[:7]] == [0.0, 0.15, 0.3, 0.6, 1.1, 1.6, 4.5]


def test_a_message_in_a_lull_brings_the_quick_pace_back() -> None:
    heart = Heartbeat(0.0)
    run(heart, 0.0, 1.0, answers=True)
    heart.busy(20.0)
    run(heart, 20.0, 1.2, answers=True)
    assert heart.due > 21.2 + FASTEST
    assert heart.busy(21.2)
    assert heart.due <= 21.2 + FASTEST


def test_instants_of_quick_pings_are_shared() -> None:
    pings = []
    for start in (20.01, 20.03):
        heart = Heartbeat(0.0)
        run(heart, 0.0, 1.0, answers=True)
        pings.append(run(heart, start, 1.0, answers=True, traffic=True)[1:])
    assert {round(at * 1000) % 50 for at in pings[0] + pings[1]} == {0}


@given(rtt=st.floats(0.001, 0.06), lull=st.floats(0.0, 2.0))
def test_in_a_lull_a_dead_wire_is_suspect_within_a_second(rtt: float, lull: float) -> None:
    line = Line(rtt)
    line.run(20.0)
    for heart in line.hearts:
        heart.busy(20.0)
    line.run(20.0 + lull)
    line.works = [False, False]
    end = line.now + (1.0 + rtt if lull < BUSY_FOR - SLOWEST else ASKED + MAX_MISSED * SLOWEST)
    line.run(end)
    assert [heart.state for heart in line.hearts] == [WireState.SUSPECT] * 2


def test_the_end_that_was_dialled_is_not_hurried_by_the_last_pings_of_a_lull() -> None:
    line = Line(rtt=0.02)
    line.run(20.0)
    line.run(line.pings[0][-1] + 1.0)
    start = line.now
    for heart in line.hearts:
        heart.busy(start)
    line.pings = [[], []]
    line.run(start + 3.0)
    assert [len(pings) for pings in line.pings] == [5, 5]


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
        assert now - died <= 1.0
        heart.busy(now)
        heart.ping(now)


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


class Line:
    """The hearts of both ends of one wire, the dialler's first, over a path that may break."""

    def __init__(self, rtt: float) -> None:
        self.now = 0.0
        self.hearts = Heartbeat(0.0), Heartbeat(0.0)
        self.works = [True, True]
        """What each end sends arrives."""
        self.pings: list[list[float]] = [[], []]
        self._half = rtt / 2
        self._events: list[tuple[float, int, str, int]] = []

    def run(self, until: float) -> None:
        """Let time pass."""
        while True:
            due = min(heart.due for heart in self.hearts)
            event = min(self._events, default=(inf, 0, "", 0))
            now = max(self.now, min(due, event[0]))
            if now > until:
                self.now = until
                return
            self.now = now
            if event[0] <= now:
                self._events.remove(event)
                self._arrive(*event[1:])
            for end, heart in enumerate(self.hearts):
                number = heart.ping(self.now)
                if number is not None:
                    self.pings[end].append(self.now)
                    self._send(end, "ping", number)

    def _send(self, end: int, kind: str, number: int) -> None:
        if self.works[end]:
            self._events.append((self.now + self._half, 1 - end, kind, number))

    def _arrive(self, end: int, kind: str, number: int) -> None:
        if kind == "pong":
            self.hearts[end].pong(number, self.now)
            return
        if end == 1:
            self.hearts[end].asked(self.now)
        self._send(end, "pong", number)


def test_of_an_idle_wire_only_the_end_that_dialled_it_asks() -> None:
    line = Line(rtt=0.02)
    line.run(10.0)
    line.pings = [[], []]
    line.run(70.0)
    assert line.pings[1] == []
    assert {round(b - a, 6) for a, b in pairwise(line.pings[0])} == {IDLE}
    assert {at % GRID for at in line.pings[0]} == {0.0}


def test_where_the_end_that_dialled_falls_silent_the_other_asks() -> None:
    line = Line(rtt=0.02)
    line.run(10.0)
    line.works = [False, False]
    asked = line.pings[0][-1]
    line.pings[1].clear()
    line.run(10.0 + ASKED)
    assert IDLE < line.pings[1][0] - asked <= ASKED + 0.02


@given(
    rtt=st.floats(0.001, 0.2),
    at=st.floats(8.0, 8.0 + 2 * IDLE),
    works=st.sampled_from([[False, False], [True, False], [False, True]]),
)
def test_both_ends_notice_a_dead_idle_wire_however_it_died(
    rtt: float, at: float, works: list[bool]
) -> None:
    line = Line(rtt)
    line.run(at)
    line.works = works
    line.run(at + ASKED + MAX_MISSED * SLOWEST + rtt + 0.01)
    assert [heart.state for heart in line.hearts] == [WireState.SUSPECT] * 2
    line.run(at + ASKED + FAILED_AFTER + SLOWEST + rtt + 0.01)
    assert [heart.state for heart in line.hearts] == [WireState.FAILED] * 2


def test_an_end_that_is_asked_in_a_hurry_asks_at_once() -> None:
    heart = Heartbeat(0.0)
    run(heart, 0.0, 1.0, answers=True)
    heart.asked(10.0)
    before = heart.due
    heart.asked(10.0 + HURRIED)
    assert heart.due > before
    heart.asked(10.0 + HURRIED + 0.5)
    assert heart.due == 10.0 + HURRIED + 0.5


@pytest.mark.parametrize("why", ["busy", "missing"])
def test_an_end_with_reason_to_ask_is_not_put_off_by_being_asked(why: str) -> None:
    heart = Heartbeat(0.0)
    run(heart, 0.0, 1.0, answers=True)
    heart.asked(5.0)
    if why == "busy":
        heart.busy(8.0)
    else:
        heart.ping(max(8.0, heart.due))
    before = heart.due
    heart.asked(max(8.0, before))
    assert heart.due == before
