"""Room that remotes share."""

from __future__ import annotations

from actr_peer.protocol.rpc.shares import Room, Shares


def shares() -> Shares[str]:
    return Shares(each=Room(2, 100), total=Room(3, 150))


def test_one_remote_has_its_own_bounds_of_number_and_bytes() -> None:
    by_number, by_bytes = shares(), shares()
    assert [by_number.enter("a", 1) for _ in range(3)] == [True, True, False]
    assert [by_bytes.enter("a", 60), by_bytes.enter("a", 60), by_bytes.enter("a", 40)] == [
        True,
        False,
        True,
    ]


def test_all_together_have_theirs() -> None:
    room = shares()
    assert [room.enter(who, 60) for who in "abc"] == [True, True, False]
    assert (room.count, room.size) == (2, 120)


def test_one_thing_is_let_in_however_long_it_is() -> None:
    room = shares()
    assert room.enter("a", 10_000)
    assert not room.enter("b", 1)


def test_who_leaves_makes_room_again() -> None:
    room = shares()
    room.enter("a", 60)
    room.enter("a", 10)
    room.leave("a", 60)
    assert (room.count, room.size) == (1, 10)
    room.leave("a", 10)
    assert (room.count, room.size) == (0, 0)
    assert room.enter("a", 10_000)
