"""Buckets of durations."""

from __future__ import annotations

from actr_signaling.hub.durations import BOUNDS, Durations


def test_each_bound_has_all_that_took_no_longer() -> None:
    durations = Durations()
    for seconds in (0.0, BOUNDS[0], 0.2, BOUNDS[-1] + 1):
        durations.add(seconds)
    found = dict(durations.cumulative())
    assert (found["0.0005"], found["0.1"], found["0.25"]) == (2, 2, 3)
    assert (found["10"], found["+Inf"]) == (3, 4)
    assert durations.seconds == BOUNDS[0] + 0.2 + BOUNDS[-1] + 1
