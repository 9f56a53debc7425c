from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.media.missing import (
    MAX_MISSING,
    MAX_REQUESTED,
    MAX_REQUESTS,
    SEQUENCES,
    Missing,
    ahead,
)


def test_numbers_between_two_seen_are_asked_for_and_again_later() -> None:
    missing = Missing()
    assert not missing.add(65_534, now=0.0)
    assert missing.add(1, now=0.0)
    assert missing.due(now=0.0) == [65_535, 0]
    assert missing.due(now=0.01) == []
    assert not missing.add(65_535, now=0.015)
    assert missing.due(now=0.02) == [0]


def test_what_never_comes_is_given_up() -> None:
    missing = Missing()
    missing.add(0, now=0.0)
    missing.add(2, now=0.0)
    asked = [missing.due(now=float(second)) for second in range(30)]
    assert sum(map(len, asked)) == MAX_REQUESTS
    assert len(missing) == 0


def test_a_large_hole_is_asked_for_in_parts() -> None:
    missing = Missing()
    missing.add(0, now=0.0)
    missing.add(200, now=0.0)
    parts = [missing.due(now=0.0) for _ in range(4)]
    assert [len(part) for part in parts] == [64, 64, 64, 7]
    assert [number for part in parts for number in part] == list(range(1, 200))


@given(st.lists(st.integers(0, SEQUENCES - 1), max_size=200))
def test_requests_are_bounded_whatever_comes(sequences: list[int]) -> None:
    missing = Missing()
    for index, sequence in enumerate(sequences):
        missing.add(sequence, now=index * 0.01)
        assert len(missing) <= MAX_MISSING
        assert len(missing.due(now=index * 0.01)) <= MAX_REQUESTED


def test_distance_wraps() -> None:
    assert ahead(65_535, 0) == 1
    assert ahead(0, 65_535) == 65_535


def test_a_hole_too_large_to_ask_for_is_not_asked_for() -> None:
    missing = Missing()
    missing.add(0, now=0.0)
    assert missing.add(2, now=0.0)
    assert missing.add(2 + MAX_MISSING + 1, now=0.0)
    assert len(missing) == 0


def test_the_oldest_that_are_missing_are_given_up_for_newer_ones() -> None:
    missing = Missing()
    missing.add(0, now=0.0)
    missing.add(MAX_MISSING, now=0.0)
    missing.add(MAX_MISSING + 10, now=0.0)
    assert len(missing) == MAX_MISSING
    assert missing.due(now=0.0)[0] == 9
