"""How many new connections each remote gets."""

from __future__ import annotations

import pytest

from actr_peer.protocol.webrtc import newcomers
from actr_peer.protocol.webrtc.newcomers import Newcomers


def test_a_remote_has_so_many_at_once_and_then_so_many_a_second() -> None:
    door: Newcomers[str] = Newcomers(at_once=2, per_second=0.5)
    assert [door.admit("a", now=0.0) for _ in range(3)] == [True, True, False]
    assert [door.admit("a", now=2.0) for _ in range(2)] == [True, False]


def test_waiting_long_gives_no_more_than_at_first() -> None:
    door: Newcomers[str] = Newcomers(at_once=2, per_second=0.5)
    door.admit("a", now=0.0)
    assert [door.admit("a", now=1e6) for _ in range(3)] == [True, True, False]


def test_one_remote_costs_no_other() -> None:
    door: Newcomers[str] = Newcomers(at_once=1, per_second=0.5)
    assert [door.admit(who, now=0.0) for who in "aab"] == [True, False, True]


def test_the_one_that_came_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers, "MAX_REMEMBERED", 2)
    door: Newcomers[str] = Newcomers(at_once=1, per_second=0.0)
    for who in "abac":
        door.admit(who, now=0.0)
    assert [door.admit(who, now=0.0) for who in "ab"] == [False, True]


def test_those_who_have_waited_until_they_have_all_again_are_forgotten() -> None:
    door: Newcomers[int] = Newcomers(at_once=4, per_second=2.0)
    for who in range(900):
        door.admit(who, now=float(who))
    assert len(door) == 2
    assert [door.admit(899, now=899.0) for _ in range(4)] == [True, True, True, False]


def test_where_nobody_is_let_in_nobody_is_remembered() -> None:
    door: Newcomers[str] = Newcomers(at_once=0, per_second=1.0)
    assert [door.admit("a", now=now) for now in (0.0, 9.0)] == [False, False]
    assert len(door) == 0
