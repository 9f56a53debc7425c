"""Which finished requests are remembered."""

from __future__ import annotations

from actr_peer.protocol.mailbox import MAX_HORIZONS
from actr_peer.protocol.remembered import LOT, LOTS, Finished, Lot, Remembered

CALLER = ("acme:room@2:default", 77)


def plain(number: int, size: int = 1) -> Finished:
    return Finished("caller", f"r{number}", number, size=size)


def durable(number: int, caller: tuple[str, int] = CALLER) -> Finished:
    return Finished(caller[0], f"d{number}", number, size=1, caller=caller, number=number)


def numbers(leaving: list[Finished] | None) -> list[int] | None:
    return None if leaving is None else [finished.sequence for finished in leaving]


def leaving(lots: list[Lot]) -> list[int]:
    return [sequence for lot in lots for _, _, sequence in lot]


def test_a_call_that_is_not_durable_is_forgotten_after_its_time() -> None:
    memory = Remembered(seconds=10, max_count=LOTS)
    assert memory.add(plain(1), now=0) == []
    assert memory.add(plain(2), now=9) == []
    assert leaving(memory.add(plain(3), now=11)) == [1]


def test_a_lot_names_each_of_its_requests() -> None:
    memory = Remembered(max_count=1)
    memory.add(plain(1), now=0)
    (lot,) = memory.add(plain(2), now=0)
    assert list(lot) == [("caller", "r1", 1)]


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


def test_a_durable_call_stays_until_the_low_water_mark_passes_it() -> None:
    memory = Remembered(seconds=0, max_count=100)
    for n in (3, 4, 6):
        assert memory.add_durable(durable(n))
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
    assert not memory.add_durable(durable(5))
    assert len(memory) == 0


def test_a_mark_far_above_few_calls_finds_them_in_order() -> None:
    memory = Remembered()
    for n in (900, 3, 70):
        memory.add_durable(durable(n))
    assert numbers(memory.raise_low(CALLER, 10**9)) == [3, 70, 900]


def test_outboxes_of_one_sender_have_marks_of_their_own() -> None:
    memory = Remembered()
    memory.raise_low(CALLER, 6)
    assert not memory.is_stale((CALLER[0], 78), 1)


def test_so_many_durable_calls_leave_no_room_for_more() -> None:
    memory = Remembered(max_count=2)
    assert memory.has_room
    memory.add_durable(durable(1))
    memory.add_durable(durable(2))
    assert not memory.has_room
    memory.raise_low(CALLER, 2)
    assert memory.has_room


def test_a_discarded_call_is_not_counted_any_more() -> None:
    memory = Remembered()
    two = durable(2)
    memory.add_durable(two)
    memory.discard(two)
    memory.discard(two)
    assert len(memory) == 0


def test_marks_are_bounded_and_the_least_recently_heard_leaves() -> None:
    memory = Remembered()
    memory.restore_low(("first", 0), 5)
    for n in range(MAX_HORIZONS):
        memory.raise_low(("others", n), 1)
    assert not memory.is_stale(("first", 0), 1)
    assert memory.evicted == [("first", 0)]
    assert memory.is_stale(("others", 0), 0)
