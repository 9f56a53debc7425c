from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.websocket import door
from actr_peer.protocol.websocket.door import HURRY, PATIENCE, Door, Sparing, origin


def fill(door: Door, host: str, count: int, now: float = 0.0) -> list[bool]:
    return [door.admit((host, now, n), host, now)[0] for n in range(count)]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::99", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_a_host_of_ipv6_is_its_network_of_64_bits(host: str, expected: str) -> None:
    assert origin(host) == expected


def test_one_address_has_a_share_and_no_more() -> None:
    door = Door(places=16, share=4, reserve=4)
    assert fill(door, "192.0.2.1", 6) == [True] * 4 + [False] * 2
    assert fill(door, "192.0.2.2", 1) == [True]
    assert door.turned_away == 2


def test_silent_strangers_of_many_addresses_leave_a_place_for_those_who_are_known() -> None:
    door = Door(places=16, share=4, reserve=4)
    door.admit("friend", "198.51.100.1", 0)
    door.proved("friend")
    for number in range(20):
        fill(door, f"192.0.2.{number}", 4)
    assert len(door) == 12
    assert fill(door, "203.0.113.1", 1) == [False], "a stranger's place is taken"
    assert fill(door, "198.51.100.1", 1) == [True]


def test_a_newcomer_takes_the_place_of_the_oldest_of_the_address_that_has_most() -> None:
    door = Door(places=8, share=5, reserve=0)
    door.admit("alone", "192.0.2.9", 0)
    fill(door, "192.0.2.1", 5, now=0.1)
    fill(door, "192.0.2.2", 2, now=0.1)
    assert door.admit("new", "203.0.113.1", 0.2) == (False, None), "all have their fair time"
    assert door.admit("new", "203.0.113.1", 0.1 + HURRY) == (True, ("192.0.2.1", 0.1, 0))
    assert len(door) == 8


def test_the_fuller_it_is_the_less_time_each_has() -> None:
    door = Door(places=64, share=64, reserve=0)
    fill(door, "192.0.2.1", 32)
    assert door.patience == PATIENCE
    fill(door, "192.0.2.2", 12)
    assert HURRY < door.patience < PATIENCE
    fill(door, "192.0.2.3", 20)
    assert door.patience == HURRY
    assert door.expire(HURRY - 0.1) == []
    assert len(door.expire(HURRY)) >= 8, "until there is room again"
    assert door.patience > HURRY


def test_who_waits_too_long_is_named_once_and_oldest_first() -> None:
    door = Door()
    for number in range(3):
        door.admit(number, "192.0.2.1", float(number))
    assert door.due() == PATIENCE
    assert door.expire(PATIENCE + 1) == [0, 1]
    assert door.due() == PATIENCE + 2
    door.leave(2)
    door.leave(2)
    assert door.due() is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.floats(0, 1)), max_size=200))
def test_the_bounds_hold_whatever_comes_and_goes(
    steps: list[tuple[int, int, float]],
) -> None:
    door, now, inside = Door(places=8, share=3, reserve=2), 0.0, set[object]()
    for number, (action, host, wait) in enumerate(steps):
        now += wait
        if action == 0 and inside:
            who = min(inside, key=str)
            (door.proved if host % 2 else door.leave)(who)
            inside.discard(who)
        elif action == 1:
            inside -= set(door.expire(now))
        else:
            is_in, victim = door.admit((host, number), f"192.0.2.{host}", now)
            inside.discard(victim)
            if is_in:
                inside.add((host, number))
        assert len(door) == len(inside) <= 8
        counts = [sum(1 for one in inside if one[0] == other) for other in range(10)]  # type: ignore[index]
        assert max(counts) <= 3


def test_of_many_alike_one_is_let_through_with_the_number_of_the_others() -> None:
    sparing = Sparing(every=10)
    assert [sparing.take(now) for now in (0.0, 1.0, 9.9)] == [0, None, None]
    assert sparing.take(10.0) == 2
    assert sparing.take(21.0) == 0


def test_of_known_origins_the_one_that_proved_itself_longest_ago_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "MAX_KNOWN", 1)
    place = Door(places=2, share=1, reserve=1)
    for host in ("a", "b"):
        assert place.admit((host, 0), host, 0.0)[0]
        place.proved((host, 0))
    assert place.admit("stranger", "c", 0.0)[0]
    assert [place.admit(host, host, 0.0)[0] for host in ("a", "b")] == [False, True]
