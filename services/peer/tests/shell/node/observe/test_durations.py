"""Buckets of durations, and calls by how they ended: none is lost, and nothing grows for ever."""

from __future__ import annotations

import pytest

from actr_peer.node.observe.durations import BOUNDS, OTHER, CallTally, Durations


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (BOUNDS[0], 0), (BOUNDS[0] + 1e-9, 1), (BOUNDS[-1], -2), (BOUNDS[-1] + 1, -1)],
)
def test_a_duration_is_in_the_first_bucket_that_it_fits_into(seconds: float, bucket: int) -> None:
    durations = Durations()
    durations.add(seconds)
    view = durations.view()
    assert view.counts[bucket] == view.count == 1
    assert view.seconds == seconds


def test_a_view_is_of_its_moment() -> None:
    durations = Durations()
    before = durations.view()
    durations.add(1.0)
    assert (before.count, durations.view().count) == (0, 1)
    assert len(before.counts) == len(BOUNDS) + 1


def test_calls_are_told_by_side_method_and_code() -> None:
    tally = CallTally()
    tally.add("server", "a.B.C", "OK", 0.1)
    tally.add("server", "a.B.C", "OK", 0.2)
    tally.add("server", "a.B.C", "ABORTED", 0.3)
    tally.add("client", "a.B.C", "OK", 0.4)
    assert [(c.side, c.method, c.code, c.durations.count) for c in tally.view()] == [
        ("client", "a.B.C", "OK", 1),
        ("server", "a.B.C", "ABORTED", 1),
        ("server", "a.B.C", "OK", 2),
    ]


def test_of_too_many_methods_the_rest_is_one() -> None:
    tally = CallTally(max_series=2)
    for number in range(5):
        tally.add("client", f"a.B.C{number}", "OK", 0.1)
    tally.add("client", "a.B.C0", "OK", 0.1)
    found = {calls.method: calls.durations.count for calls in tally.view()}
    assert found == {"a.B.C0": 2, "a.B.C1": 1, OTHER: 3}
