"""Which dead letters are kept: those of the actor's own before those of strangers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.mailbox.shelf import SENDER_SHARE, STRANGERS_SHARE, Shelf


def test_the_oldest_own_letters_leave_for_new_ones() -> None:
    shelf = Shelf(100)
    assert shelf.add(1, 60) == []
    assert shelf.add(2, 40) == []
    assert shelf.add(3, 50) == [1]
    assert (shelf.bytes, shelf.dropped, len(shelf)) == (90, 1, 2)


def test_a_letter_that_no_shelf_can_hold_costs_no_other() -> None:
    shelf = Shelf(100)
    shelf.add(1, 60)
    assert shelf.add(2, 101) == [2]
    assert shelf.add_stranger(3, 101, "a") == [3]
    assert (shelf.bytes, shelf.dropped) == (60, 2)


def test_a_stranger_leaves_for_the_next_of_its_sender() -> None:
    shelf = Shelf(160)
    assert shelf.add_stranger(1, 6, "a") == []
    assert shelf.add_stranger(2, 6, "b") == []
    assert shelf.add_stranger(3, 6, "a") == [1]


def test_all_strangers_have_a_quarter_and_the_oldest_leaves() -> None:
    shelf = Shelf(160)
    for number in range(4):
        assert shelf.add_stranger(number, 10, f"sender {number}") == []
    assert shelf.add_stranger(4, 10, "one more") == [0]


def test_strangers_make_room_for_the_actors_own_and_find_none_beside_them() -> None:
    shelf = Shelf(160)
    shelf.add_stranger(1, 10, "a")
    assert shelf.add(2, 155) == [1]
    assert shelf.add_stranger(3, 10, "a") == [3]
    assert shelf.add(4, 5) == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["own", "a", "b", "forget"]), st.integers(1, 40)), max_size=60
    )
)
def test_every_bound_holds_and_nothing_is_counted_twice(steps: list[tuple[str, int]]) -> None:
    shelf = Shelf(160)
    kept: dict[int, tuple[str, int]] = {}
    for number, (what, size) in enumerate(steps):
        if what == "forget":
            for old in list(kept)[:1]:
                shelf.forget(old)
                del kept[old]
            continue
        kept[number] = (what, size)
        own_before = {n for n, (whose, _) in kept.items() if whose == "own"} - {number}
        add = shelf.add(number, size) if what == "own" else shelf.add_stranger(number, size, what)
        for gone in add:
            del kept[gone]
        if what != "own":
            assert own_before <= kept.keys(), "a stranger costs none of the actor's own"
        sizes = {whose: sum(s for w, s in kept.values() if w == whose) for whose in "ab"}
        assert all(one <= 160 // SENDER_SHARE for one in sizes.values())
        assert sum(sizes.values()) <= 160 // STRANGERS_SHARE
        assert shelf.bytes == sum(s for _, s in kept.values()) <= 160
        assert len(shelf) == len(kept)


def test_a_sender_is_known_as_long_as_one_of_its_letters_is_here() -> None:
    shelf = Shelf(1000)
    shelf.add_stranger(1, 6, "a")
    shelf.add_stranger(2, 6, "a")
    shelf.forget(1)
    assert (shelf.bytes, len(shelf)) == (6, 1)
    shelf.forget(2)
    shelf.forget(2)
    assert (shelf.bytes, len(shelf)) == (0, 0)
