"""Which finished requests are remembered."""

from __future__ import annotations

from actr_peer.protocol.mailbox.finished import LOT, LOTS, Finished, Lot
from actr_peer.protocol.mailbox.remembered import Remembered
from actr_peer.protocol.mailbox.requests import MAX_HORIZONS

CALLER = ("acme:room@2:default", 77)


def plain(number: int, size: int = 1, sender: str = "caller") -> Finished:
    return Finished(sender, f"r{number}", number, size=size)


def durable(number: int, caller: tuple[str, int] = CALLER) -> Finished:
    return Finished(caller[0], f"d{number}", number, size=1, caller=caller, number=number)


def numbers(leaving: list[Finished] | None) -> list[int] | None:
    return None if leaving is None else [finished.sequence for finished in leaving]


def leaving(lots: list[Lot]) -> list[int]:
    return [sequence for lot in lots for _, sequence in lot]


def test_a_call_that_is_not_durable_is_forgotten_after_its_time() -> None:
    memory = Remembered(seconds=10, max_count=LOTS)
    assert memory.add(plain(1), now=0) == []
    assert memory.add(plain(2), now=9) == []
    assert leaving(memory.add(plain(3), now=11)) == [1]


def test_a_lot_names_each_of_its_requests() -> None:
    memory = Remembered(max_count=1)
    memory.add(plain(1), now=0)
    (lot,) = memory.add(plain(2), now=0)
    assert (lot.sender, list(lot)) == ("caller", [("r1", 1)])


def test_the_oldest_leave_when_there_are_too_many() -> None:
    memory = Remembered(max_count=2)
    assert [leaving(memory.add(plain(n), now=0)) for n in range(4)] == [[], [], [0], [1]]


def test_the_oldest_leave_when_their_replies_are_too_long() -> None:
    memory = Remembered(max_bytes=10)
    memory.add(plain(1, size=6), now=0)
    assert leaving(memory.add(plain(2, size=6), now=0)) == [1]


def test_the_newest_stays_however_long_its_reply_is() -> None:
    memory = Remembered(max_bytes=10)
    assert memory.add(plain(1, size=100), now=0) == []
    assert leaving(memory.add(plain(2, size=1), now=0)) == [1]


def test_many_leave_by_the_lot() -> None:
    memory = Remembered(max_count=20 * LOT)
    gone = [len(leaving(found)) for n in range(30 * LOT) if (found := memory.add(plain(n), now=0))]
    assert set(gone) <= {1, LOT}
    assert sum(gone) + len(memory) == 30 * LOT
    assert len(memory) <= 21 * LOT


def test_time_ends_a_lot_as_number_does() -> None:
    memory = Remembered(seconds=16)
    memory.add(plain(1), now=0)
    memory.add(plain(2), now=2)
    memory.add(plain(3), now=10)
    assert leaving(memory.add(plain(4), now=18)) == [1, 2]


def test_many_calls_of_one_sender_push_out_none_of_another() -> None:
    memory = Remembered(max_count=4 * LOT)
    gone = [
        (lot.sender, sequence)
        for n in range(20 * LOT)
        for lot in memory.add(plain(n, sender="honest" if n % 100 == 7 else "much"), now=n / LOT)
        for _, sequence in lot
    ]
    assert {sender for sender, _ in gone} == {"much"}
    assert gone == sorted(gone), "oldest first"
    assert len(gone) + len(memory) == 20 * LOT
    assert len(memory) <= 5 * LOT


def test_long_replies_of_one_sender_push_out_none_of_another() -> None:
    memory = Remembered(max_bytes=100)
    assert memory.add(plain(0, size=30, sender="honest"), now=0) == []
    gone = [leaving(memory.add(plain(n, size=40, sender="long"), now=0)) for n in range(1, 5)]
    assert gone == [[], [1], [2], [3]]


def test_among_equals_the_oldest_leaves() -> None:
    memory = Remembered(max_count=3)
    gone = [leaving(memory.add(plain(n, sender=name), now=0)) for n, name in enumerate("dabce")]
    assert gone == [[], [], [], [0], [1]]


def test_longer_and_longer_replies_of_ever_new_senders_stay_within_the_bound() -> None:
    memory = Remembered(max_bytes=100)
    held: dict[int, int] = {}
    for n in range(60):
        held[n] = 40 + n
        for sequence in leaving(memory.add(plain(n, size=40 + n, sender=f"s{n}"), now=0)):
            del held[sequence]
        assert sum(held.values()) <= 100 + 40 + n


def test_who_left_and_comes_again_is_counted_anew() -> None:
    memory = Remembered(seconds=10, max_count=3)
    assert leaving(memory.add(plain(1, sender="a"), now=0)) == []
    assert leaving(memory.add(plain(2, sender="b"), now=11)) == [1]
    assert [leaving(memory.add(plain(n, sender="a"), now=11)) for n in (3, 4, 5)] == [[], [], [3]]
    assert len(memory) == 3


def test_a_durable_call_stays_until_the_low_water_mark_passes_it() -> None:
    memory = Remembered(seconds=0, max_count=100)
    for n in (3, 4, 6):
        assert memory.add_durable(durable(n), 0)
    assert numbers(memory.raise_low(CALLER, 6)) == [3, 4]
    assert len(memory) == 1
    assert memory.is_stale(CALLER, 5)
    assert not memory.is_stale(CALLER, 6)


def test_a_low_water_mark_never_falls() -> None:
    memory = Remembered()
    memory.raise_low(CALLER, 6)
    assert memory.raise_low(CALLER, 5) is None
    assert memory.raise_low(CALLER, 6) is None
    assert memory.is_stale(CALLER, 5)


def test_a_call_finished_below_the_mark_is_not_remembered_at_all() -> None:
    memory = Remembered()
    memory.raise_low(CALLER, 6)
    assert not memory.add_durable(durable(5), 0)
    assert len(memory) == 0


def test_a_mark_far_above_few_calls_finds_them_in_order() -> None:
    memory = Remembered()
    for n in (900, 3, 70):
        memory.add_durable(durable(n), 0)
    assert numbers(memory.raise_low(CALLER, 10**9)) == [3, 70, 900]


def test_outboxes_of_one_sender_have_marks_of_their_own() -> None:
    memory = Remembered()
    memory.raise_low(CALLER, 6)
    assert not memory.is_stale((CALLER[0], 78), 1)


def of(sender: str, number: int, size: int = 0) -> Finished:
    caller = (sender, 1)
    return Finished(sender, f"d{number}", number, size=size, caller=caller, number=number)


def test_a_sender_may_hold_as_much_as_is_left_for_all() -> None:
    memory = Remembered(max_count=4)
    memory.add_durable(of("much", 1), 0)
    assert memory.has_room("much")
    memory.add_durable(of("much", 2), 0)
    assert not memory.has_room("much")
    assert memory.has_room("another")
    memory.raise_low(("much", 1), 2)
    assert memory.has_room("much")


def test_long_replies_leave_no_room_for_more_of_their_sender() -> None:
    memory = Remembered(max_bytes=100)
    memory.add_durable(of("much", 1, size=60), 0)
    assert not memory.has_room("much")
    assert memory.has_room("another")


def test_callers_long_silent_make_room_and_what_they_lose_does_not_run_again() -> None:
    memory = Remembered(seconds=10, max_count=3)
    for number, sender in enumerate("abc", 5):
        memory.add_durable(of(sender, number), now=0)
    memory.hear(("a", 1), now=9)
    assert memory.make_room("d", now=10)
    assert memory.has_room("d")
    assert memory.is_stale(("b", 1), 6)
    assert not memory.is_stale(("c", 1), 7)
    memory.add_durable(of("d", 8), now=10)
    [(caller, low, calls)] = memory.make_room("e", now=11)
    assert (caller, low, numbers(calls)) == (("c", 1), 8, [7])
    memory.add_durable(of("e", 9), now=11)
    assert memory.make_room("f", now=18) == []
    assert not memory.has_room("f"), "all others were heard within the time"


def test_who_holds_half_of_all_costs_nobody_but_itself() -> None:
    memory = Remembered(seconds=10, max_count=8)
    memory.add_durable(of("silent", 1), now=0)
    for number in range(4):
        memory.add_durable(of("much", number + 1), now=5)
    assert memory.make_room("much", now=12) == []
    assert memory.make_room("much", now=15)[0][0] == ("much", 1)


def test_a_discarded_call_is_not_counted_any_more() -> None:
    memory = Remembered()
    two = durable(2)
    memory.add_durable(two, 0)
    memory.discard(two)
    memory.discard(two)
    assert len(memory) == 0


def test_marks_are_bounded_and_the_least_recently_heard_leaves() -> None:
    memory = Remembered()
    memory.restore_low(("first", 0), 5)
    for n in range(MAX_HORIZONS):
        memory.raise_low((f"other {n}", n), 1)
    assert not memory.is_stale(("first", 0), 1)
    assert memory.evicted == [("first", 0)]
    assert memory.is_stale(("other 0", 0), 0)


def test_a_caller_with_ever_new_store_ids_forgets_its_own_marks_only() -> None:
    memory = Remembered()
    memory.raise_low(("first", 0), 5)
    for n in range(2 * MAX_HORIZONS):
        memory.raise_low(("many", n), 2)
    assert memory.is_stale(("first", 0), 4)
    assert {sender for sender, _ in memory.evicted} == {"many"}
    assert not memory.is_stale(("many", 0), 1)
    assert memory.is_stale(("many", 2 * MAX_HORIZONS - 1), 1)


def test_a_caller_that_was_heard_a_moment_ago_is_not_noted_again() -> None:
    memory = Remembered(seconds=1000, max_count=LOTS)
    memory.add_durable(durable(1), now=0)
    memory.add_durable(durable(1, ("b", 1)), now=0)
    memory.hear(CALLER, now=0.001)
    memory.hear(("nobody", 1), now=0.001)
    memory.hear(("b", 1), now=900)
    assert memory.make_room("c", now=1000.5) == []


def test_a_mark_rises_and_never_falls() -> None:
    memory = Remembered(seconds=10, max_count=LOTS)
    for number in range(1, 6):
        memory.add_durable(durable(number), now=0)
    assert numbers(memory.raise_low(CALLER, 2)) == [1]
    assert numbers(memory.raise_low(CALLER, 4)) == [2, 3]
    assert memory.raise_low(CALLER, 3) is None
    assert [memory.is_stale(CALLER, number) for number in (3, 4)] == [True, False]
