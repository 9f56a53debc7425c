"""What each remote owes the outbox: marks and bounds of each, and a share for all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.mailbox.outbox.owed import Owed


def test_a_mark_is_the_smallest_number_that_the_remote_owes() -> None:
    owed = Owed()
    assert owed.low_water("a", 7) == 7
    for number, remote in ((1, "a"), (2, "b"), (3, "a")):
        owed.add(remote, number, 1)
    assert (owed.low_water("a", 4), owed.low_water("b", 4)) == (1, 2)
    assert owed.done(1) == "a"
    assert (owed.low_water("a", 4), owed.low_water("b", 4)) == (3, 2)
    owed.done(3)
    assert owed.low_water("a", 4) == 4
    assert owed.done(3) is None
    assert len(owed) == 1


def test_numbers_of_an_earlier_run_hold_no_mark_back_but_count() -> None:
    owed = Owed(max_open=2)
    owed.add("a", 1, 1, is_earlier=True)
    owed.add("a", 5, 1)
    assert owed.low_water("a", 6) == 5
    assert not owed.has_room("a", 1)
    owed.done(1)
    assert owed.has_room("a", 1)


def test_a_remote_is_bounded_by_what_it_owes_and_by_what_it_may_have_to_remember() -> None:
    owed = Owed(max_open=2, max_window=3)
    for number in (1, 2):
        owed.add("a", number, 1)
    assert not owed.has_room("a", 1)
    owed.done(2)
    owed.add("a", 3, 1)
    owed.done(3)
    assert not owed.has_room("a", 1), "three numbers from the mark on"
    owed.done(1)
    assert owed.has_room("a", 1)


@pytest.mark.parametrize(
    "owed",
    [
        pytest.param(Owed(max_open=100, max_in_all=64), id="in number"),
        pytest.param(Owed(max_open=100, max_bytes=6400), id="in bytes"),
    ],
)
def test_whoever_owes_nothing_finds_room_beside_those_who_owe_much(owed: Owed) -> None:
    number = 0
    for remote in "abc":
        while owed.has_room(remote, 100):
            number += 1
            owed.add(remote, number, 100)
    assert number < 64
    assert not any(owed.is_full(remote) for remote in "abc"), "others can make room for them"
    assert owed.has_room("d", 100)
    assert owed.has_room("d", 10_000), "any one call"


@given(
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(1, 50))),
)
def test_bounds_and_marks_hold_whatever_is_made_and_done(
    steps: list[tuple[str, int, int]],
) -> None:
    owed = Owed(max_open=5, max_window=8, max_in_all=9, max_bytes=200)
    model: dict[int, tuple[str, int]] = {}
    number = 0
    for remote, choice, size in steps:
        if choice < 6:
            if owed.has_room(remote, size):
                number += 1
                owed.add(remote, number, size)
                model[number] = (remote, size)
        elif model:
            done = sorted(model)[choice % len(model)]
            assert owed.done(done) == model.pop(done)[0]
        for name in "abc":
            open_ = [n for n, (whose, _) in model.items() if whose == name]
            assert owed.low_water(name, number + 1) == min(open_, default=number + 1)
            assert len(open_) <= 5
        assert len(owed) == len(model) <= 9


def test_calls_of_an_earlier_run_alone_leave_no_mark_behind() -> None:
    owed = Owed()
    owed.add("a", 1, 1, is_earlier=True)
    owed.add("a", 2, 1, is_earlier=True)
    assert owed.done(1) == "a"
    assert owed.low_water("a", 9) == 9
    owed.add("a", 9, 1)
    assert owed.low_water("a", 10) == 9
