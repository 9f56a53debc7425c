"""Who may enter the mailbox, and who waits."""

from __future__ import annotations

from dataclasses import dataclass

from actr_peer.protocol.mailbox.admission import Admission, Door


@dataclass(frozen=True)
class Item:
    name: str
    size: int = 1
    is_signal: bool = False


def test_a_tenth_of_the_messages_is_kept_for_signal() -> None:
    room: Admission[Item] = Admission(10, 1000)
    doors = [room.enter(Item(str(n))) for n in range(10)]
    assert doors == [Door.IN] * 9 + [Door.WAITS]
    assert room.enter(Item("urgent", is_signal=True)) is Door.IN
    assert room.enter(Item("urgent too", is_signal=True)) is Door.WAITS


def test_a_tenth_of_the_bytes_is_kept_for_signal() -> None:
    room: Admission[Item] = Admission(100, 100)
    assert room.enter(Item("most", size=90)) is Door.IN
    assert room.enter(Item("more", size=1)) is Door.WAITS
    assert room.enter(Item("urgent", size=10, is_signal=True)) is Door.IN


def test_an_empty_mailbox_takes_any_one_message() -> None:
    room: Admission[Item] = Admission(10, 100)
    assert room.enter(Item("huge", size=10_000)) is Door.IN
    assert room.enter(Item("small")) is Door.WAITS


def test_nobody_overtakes_who_waits_with_the_same_priority() -> None:
    room: Admission[Item] = Admission(100, 100)
    room.enter(Item("first", size=50))
    assert room.enter(Item("big", size=60)) is Door.WAITS
    assert room.enter(Item("small", size=1)) is Door.WAITS


def test_those_who_waited_enter_signal_first_in_order_of_arrival() -> None:
    room: Admission[Item] = Admission(2, 1000)
    room.enter(Item("in"))
    room.enter(Item("in", is_signal=True))
    for name in ("n1", "n2"):
        room.enter(Item(name))
    for name in ("s1", "s2"):
        room.enter(Item(name, is_signal=True))
    order = []
    for _ in range(6):
        room.leave(1)
        order += [item.name for item in room.admitted()]
    assert order == ["s1", "s2", "n1", "n2"]
    assert room.waiting == 0


def test_as_many_may_wait_as_may_be_inside_and_the_next_is_turned_away() -> None:
    room: Admission[Item] = Admission(3, 1000)
    doors = [room.enter(Item(str(n), is_signal=True)) for n in range(7)]
    assert doors == [Door.IN] * 3 + [Door.WAITS] * 3 + [Door.FULL]


def test_what_a_start_found_counts_even_over_the_bounds() -> None:
    room: Admission[Item] = Admission(1, 10)
    room.take(8)
    room.take(8)
    assert repr(room) == "Admission(2/1 messages, 16/10 bytes, 0 wait)"
    assert not room.fits(1, is_signal=True)
