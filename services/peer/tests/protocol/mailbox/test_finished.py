"""Who holds most of what is finished, found among notes that are out of date."""

from __future__ import annotations

from actr_peer.protocol.mailbox.finished import LOT, Finished, Holder, Lot, Most


def holder(sender: str, count: int, number: int = 0) -> Holder:
    made = Holder(Lot(sender, 0.0), number)
    made.count = count
    return made


def counts() -> Most:
    return Most(lambda one: one.count)


def test_who_holds_most_is_taken_once() -> None:
    most, holders = counts(), {"a": holder("a", 2), "b": holder("b", 5, 1)}
    for sender, one in holders.items():
        most.note(sender, one)
    assert [most.take(holders) for _ in range(3)] == ["b", "a", None]


def test_a_note_of_more_than_is_held_by_now_counts_as_what_is_held() -> None:
    most, holders = counts(), {"a": holder("a", 9), "b": holder("b", 5, 1)}
    for sender, one in holders.items():
        most.note(sender, one)
    holders["a"].count = 3
    assert [most.take(holders) for _ in range(3)] == ["b", "a", None]


def test_who_left_and_came_back_is_another_holder() -> None:
    most, holders = counts(), {"a": holder("a", 9)}
    most.note("a", holders["a"])
    holders["a"] = holder("a", 1, number=7)
    assert most.take(holders) is None


def test_who_holds_nothing_holds_not_most() -> None:
    most, holders = counts(), {"a": holder("a", 0)}
    most.note("a", holders["a"])
    assert most.take(holders) is None


def test_notes_that_others_have_replaced_are_dropped_when_they_are_many() -> None:
    most, holders = counts(), {"a": holder("a", 1), "b": holder("b", 2, 1)}
    for _ in range(LOT + 5):
        most.note("a", holders["a"])
    most.tidy(holders)
    assert [most.take(holders) for _ in range(3)] == ["b", "a", None]


def test_a_lot_has_its_requests_oldest_first() -> None:
    lot = Lot("a", 5.0)
    for number in range(3):
        lot.request_ids.append(f"r{number}")
        lot.sequences.append(number)
    assert (len(lot), list(lot)) == (3, [("r0", 0), ("r1", 1), ("r2", 2)])


def test_what_is_finished_is_shown_with_whose_it_was() -> None:
    assert repr(Finished("a", "r1", 7, size=1)) == "Finished(a r1 #7)"
