from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.media.capture import WINDOW_SECONDS, CaptureClock

STEP = 3000
"""Ticks of a thirtieth of a second."""


def test_nothing_is_known_before_the_first_sample() -> None:
    assert CaptureClock(90_000).when(0) is None


@given(
    st.lists(st.floats(0, 0.9), min_size=1, max_size=200),
    st.integers(0, 2**32 - 1),
)
def test_what_was_seen_soonest_says_when_all_of_the_window_was(
    delays: list[float], first: int
) -> None:
    clock = CaptureClock(90_000)
    for number, delay in enumerate(delays):
        clock.note((first + number * STEP) % 2**32, 100 + number * STEP / 90_000 + delay)
    last = len(delays) - 1
    lately = delays[max(0, len(delays) - int(WINDOW_SECONDS * 30)) :]
    at = clock.when((first + last * STEP) % 2**32)
    assert at is not None
    assert 100 + last / 30 + min(delays) - 1e-6 <= at <= 100 + last / 30 + min(lately) + 1e-6


def test_a_delay_that_stays_is_believed_after_a_while() -> None:
    clock = CaptureClock(48_000)
    for number in range(50):
        clock.note(number * 960, number * 0.02)
    for number in range(50, 400):
        clock.note(number * 960, number * 0.02 + 0.3)
        if number == 60:
            assert clock.when(0) == pytest.approx(0.0)
    assert clock.when(0) == pytest.approx(0.3)


def test_a_hole_in_the_track_is_believed_at_once() -> None:
    clock = CaptureClock(48_000)
    clock.note(0, 10.0)
    clock.note(960, 15.02)
    assert clock.when(960) == pytest.approx(15.02)
    clock.note(1920, 15.04)
    assert clock.when(1920) == pytest.approx(15.04)
