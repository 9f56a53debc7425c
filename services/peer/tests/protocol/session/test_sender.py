from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.session.frames import FRAGMENT_BYTES, Ack
from actr_peer.protocol.session.sender import WINDOW_BYTES, WINDOW_FRAMES, Sender, Timing
from actr_peer.protocol.session.wires.flight import FRAME_COST, LEAST_BYTES, Flight

ONE, TWO = 1, 2
TIMING = Timing(other=0.2, same=1.0)
BOTH = {ONE: TIMING, TWO: TIMING}
ALL = 1 << 20


def sender_with(*messages: bytes) -> Sender:
    sender = Sender()
    for message in messages:
        sender.accept(message)
    return sender


def send_all(sender: Sender, wire: int = ONE, now: float = 0.0) -> list[int]:
    sent = []
    while (frame := sender.take(wire, now, ALL, is_active=True)) is not None:
        sent.append(frame.seq)
    return sent


def ack(received: int, acknowledged: int, frames: int = 1024, size: int = WINDOW_BYTES) -> Ack:
    return Ack(0, received, acknowledged, frames, size)


def test_frames_go_out_once_and_in_order() -> None:
    sender = sender_with(b"a", b"b", b"c")
    assert send_all(sender) == [0, 1, 2]
    assert send_all(sender) == []
    assert (sender.sent, sender.flight_bytes, sender.held_bytes) == (3, 3, 3)


def test_a_frame_is_forgotten_when_it_is_acknowledged_not_when_it_is_received() -> None:
    sender = sender_with(b"a", b"b")
    send_all(sender)
    sender.on_ack(ack(2, 1), 0.1)
    assert (sender.flight_bytes, sender.held_bytes, sender.is_empty) == (0, 1, False)
    sender.on_ack(ack(2, 2), 0.2)
    assert (sender.held_bytes, sender.is_empty, len(sender.frames)) == (0, True, 0)


def test_the_window_is_full_at_its_number_of_frames() -> None:
    sender = sender_with(*[b"x"] * (WINDOW_FRAMES - 1))
    assert sender.has_room(1)
    sender.accept(b"x")
    assert not sender.has_room(1)


def test_the_window_is_full_at_its_bytes() -> None:
    sender = sender_with(bytes(WINDOW_BYTES - 10))
    assert sender.has_room(10)
    assert not sender.has_room(11)


def test_an_empty_window_has_room_for_the_longest_message() -> None:
    assert Sender().has_room(16 << 20)


def test_fragments_received_make_room_for_more_of_a_long_message() -> None:
    sender = sender_with(bytes(8 << 20))
    first = len(send_all(sender))
    assert first == WINDOW_BYTES // FRAGMENT_BYTES
    sender.on_ack(ack(first, 0), 0.0)
    assert len(send_all(sender)) == first
    assert not sender.has_room(1)


def test_sending_stops_where_the_credit_ends() -> None:
    sender = sender_with(*[b"x"] * 1200)
    assert len(send_all(sender)) == WINDOW_FRAMES
    sender.on_ack(ack(10, 10, frames=1020), 0.0)
    assert len(send_all(sender)) == 6


def test_credit_of_bytes_counts_what_is_in_flight() -> None:
    sender = sender_with(*[bytes(100)] * 10)
    sender.on_ack(ack(0, 0, size=350), 0.0)
    assert len(send_all(sender)) == 3
    sender.on_ack(ack(3, 0, size=0), 0.0)
    assert send_all(sender) == []


def test_an_older_acknowledgement_takes_nothing_back() -> None:
    sender = sender_with(b"a", b"b", b"c")
    send_all(sender)
    sender.on_ack(ack(3, 2), 0.0)
    sender.on_ack(ack(1, 1, frames=0, size=0), 0.0)
    assert (sender.received, sender.acknowledged) == (3, 2)
    assert sender.credit_bytes == WINDOW_BYTES


def test_acknowledging_what_was_never_sent_is_the_far_sides_fault() -> None:
    sender = sender_with(b"a", b"b")
    sender.take(ONE, 0.0, ALL, is_active=True)
    with pytest.raises(RemoteProtocolError):
        sender.on_ack(ack(2, 0), 0.0)
    with pytest.raises(RemoteProtocolError):
        sender.on_hello(2, 0.0)


def test_what_a_lost_wire_carried_goes_out_on_the_next() -> None:
    sender = sender_with(b"a", b"b", b"c")
    send_all(sender)
    sender.on_ack(ack(1, 1), 0.0)
    sender.wire_lost(ONE)
    assert send_all(sender, TWO) == [1, 2]
    assert sender.resent == 2
    sender.wire_lost(ONE)
    assert send_all(sender, TWO) == []


def test_an_overdue_frame_goes_out_on_the_other_wire_even_if_it_is_not_in_use() -> None:
    sender = sender_with(b"a")
    send_all(sender)
    sender.repeat_overdue(0.19, BOTH)
    assert not sender.has_work(TWO, is_active=False)
    sender.repeat_overdue(0.2, BOTH)
    assert sender.take(ONE, 0.2, ALL, is_active=True) is None
    frame = sender.take(TWO, 0.2, ALL, is_active=False)
    assert frame is not None
    assert (frame.seq, frame.wire, frame.tries) == (0, TWO, 2)


def test_with_one_wire_an_overdue_frame_waits_longer_and_doubles() -> None:
    sender = sender_with(b"a")
    send_all(sender)
    now, waits = 0.0, []
    for _ in range(6):
        due = sender.due({ONE: TIMING})
        waits.append(due - now)
        now = due
        sender.repeat_overdue(now, {ONE: TIMING})
        assert sender.take(ONE, now, ALL, is_active=True) is not None
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_with_two_wires_the_second_sending_is_patient() -> None:
    sender = sender_with(b"a")
    send_all(sender)
    sender.repeat_overdue(0.2, BOTH)
    sender.take(TWO, 0.2, ALL, is_active=False)
    assert sender.due(BOTH) == pytest.approx(1.2)
    sender.repeat_overdue(1.2, BOTH)
    assert sender.has_work(ONE, is_active=False)


def test_nothing_is_due_without_a_wire_or_anything_in_flight() -> None:
    sender = sender_with(b"a")
    assert sender.due(BOTH) == float("inf")
    send_all(sender)
    assert sender.due({}) == float("inf")


def test_a_repeat_that_arrives_after_all_is_not_sent() -> None:
    sender = sender_with(b"a", b"b")
    send_all(sender)
    sender.wire_lost(ONE)
    sender.on_ack(ack(2, 2), 0.1)
    assert send_all(sender, TWO) == []


def test_a_repeat_meant_for_a_wire_that_is_lost_takes_any_other() -> None:
    sender = sender_with(b"a")
    send_all(sender)
    sender.repeat_overdue(0.2, BOTH)
    sender.wire_lost(TWO)
    assert send_all(sender, ONE) == [0]


def test_a_repeat_waits_for_a_wire_message_with_room() -> None:
    sender = sender_with(bytes(100))
    send_all(sender)
    sender.wire_lost(ONE)
    assert sender.take(TWO, 0.0, 99, is_active=True) is None
    assert sender.take(TWO, 0.0, 100, is_active=True) is not None


def test_the_round_trip_of_what_was_sent_twice_is_not_measured() -> None:
    sender = sender_with(b"a", b"b")
    send_all(sender)
    sender.wire_lost(ONE)
    send_all(sender, TWO)
    assert sender.on_ack(ack(1, 1), 1.0) is None
    sender.accept(b"c")
    send_all(sender, TWO, now=1.0)
    sample = sender.on_ack(ack(3, 3), 1.5)
    assert sample is not None
    assert (sample.wire, sample.at) == (TWO, 1.0)


def test_the_far_side_is_asked_when_all_has_come_and_not_all_is_acknowledged() -> None:
    sender = sender_with(b"a")
    send_all(sender)
    assert not sender.ask(100.0)
    sender.on_ack(ack(1, 0), 1.0)
    assert sender.due(BOTH) == 2.0
    asked = [now / 10 for now in range(10, 200) if sender.ask(now / 10)]
    assert asked == [2.0, 4.0, 8.0, 16.0]
    sender.on_ack(ack(1, 1), 20.0)
    assert sender.due(BOTH) == float("inf")


def test_a_restart_of_the_far_side_sends_whole_unacknowledged_messages_again() -> None:
    long = bytes(range(256)) * 200
    sender = sender_with(b"stored", long, long, b"last")
    send_all(sender)
    sender.on_ack(ack(3, 1), 0.0)
    assert sender.restart(is_kept=True) == 0
    assert (sender.received, sender.unsent) == (0, 0)
    assert sender.held_bytes == 2 * len(long) + 4
    frames = []
    while (frame := sender.take(ONE, 0.0, ALL, is_active=True)) is not None:
        assert frame.seq == len(frames)
        frames.append(frame)
    assert [f.data for f in frames if f.seq == f.first] == [long, long, b"last"]
    assert sum(f.size for f in frames) == 2 * len(long) + 4


def test_a_restart_of_the_far_side_drops_what_is_not_kept() -> None:
    sender = sender_with(b"a", b"b")
    send_all(sender)
    sender.on_ack(ack(1, 1), 0.0)
    assert sender.restart(is_kept=False) == 0
    assert (sender.is_empty, sender.held_bytes, sender.flight_bytes) == (True, 0, 0)
    assert Sender().restart(is_kept=False) == -1


def test_credit_of_an_older_word_that_comes_late_does_not_count() -> None:
    sender = sender_with(b"a", b"b")
    send_all(sender)
    sender.on_ack(ack(2, 2, size=100), 0.0)
    sender.on_ack(ack(2, 1, size=0), 0.0)
    assert sender.credit_bytes == 100


def test_a_repeat_meant_for_a_wire_that_is_not_usable_any_more_takes_any_other() -> None:
    sender = sender_with(b"a")
    send_all(sender)
    sender.repeat_overdue(0.2, BOTH)
    assert not sender.has_work(ONE, is_active=True)
    sender.repeat_overdue(0.3, {ONE: TIMING})
    assert send_all(sender, ONE) == [0]


def test_what_waits_for_its_first_sending_is_counted() -> None:
    sender = sender_with(b"a", b"b")
    assert sender.queued == 2
    sender.take(ONE, 0.0, ALL, is_active=True)
    assert sender.queued == 1


def test_what_is_queued_for_any_wire_stays_queued_once_when_wires_come_and_go() -> None:
    sender = sender_with(b"a", b"b", b"c")
    send_all(sender)
    sender.wire_lost(ONE)
    sender.repeat_overdue(100.0, {TWO: TIMING})
    assert send_all(sender, TWO, 100.0) == [0, 1, 2]


def test_only_frames_that_waited_too_long_are_repeated() -> None:
    sender = sender_with(b"a")
    send_all(sender, ONE, 0.0)
    sender.accept(b"b")
    send_all(sender, ONE, 0.9)
    sender.repeat_overdue(1.0, {ONE: TIMING})
    assert send_all(sender, ONE, 1.0) == [0]


def test_what_went_out_on_a_wire_that_is_not_usable_is_due_at_once() -> None:
    sender = sender_with(b"a")
    send_all(sender, ONE, 5.0)
    assert sender.due({TWO: TIMING}) == 5.0
    sender.repeat_overdue(5.0, {TWO: TIMING})
    assert send_all(sender, TWO, 5.0) == [0]


# How much bulk may be under way


def sender_of(*messages: bytes, limit: int, is_bulk: bool = True) -> Sender:
    flight = Flight()
    flight.limit = limit
    sender = Sender(0, flight, is_bulk=is_bulk)
    for message in messages:
        sender.accept(message)
    return sender


def test_no_more_bulk_goes_than_may_be_under_way() -> None:
    sender = sender_of(*[bytes(1000)] * 4, limit=2 * (1000 + FRAME_COST))
    assert send_all(sender) == [0, 1]
    assert sender.flight.was_held
    sender.on_ack(ack(1, 1), 0.1)
    assert send_all(sender) == [2]


def test_one_frame_may_always_go_however_little_may_be_under_way() -> None:
    sender = sender_of(bytes(1000), bytes(1000), limit=0)
    assert send_all(sender) == [0]
    sender.on_ack(ack(1, 1), 0.1)
    assert send_all(sender) == [1]


def test_small_frames_count_more_than_their_payload() -> None:
    sender = sender_of(*[b"x"] * 100, limit=10 * (1 + FRAME_COST))
    assert len(send_all(sender)) == 10


def test_urgent_messages_are_not_held_but_long_ones_are() -> None:
    sender = sender_of(*[bytes(1000)] * 9, limit=0, is_bulk=False)
    assert len(send_all(sender)) == 9
    sender = sender_of(bytes(3 * FRAGMENT_BYTES), limit=0, is_bulk=False)
    assert send_all(sender) == [0]


def test_what_goes_out_again_is_not_held() -> None:
    sender = sender_of(bytes(1000), bytes(1000), limit=2 * (1000 + FRAME_COST))
    send_all(sender)
    sender.flight.limit = 0
    sender.wire_lost(ONE)
    assert send_all(sender, TWO) == [0, 1]


def test_what_arrives_is_measured_with_the_cost_of_its_frames() -> None:
    sender = sender_of(bytes(1000), bytes(500), limit=ALL)
    arrived: list[tuple[int, float]] = []
    trips: list[tuple[float, float]] = []
    sender.flight = SimpleNamespace(  # type: ignore[assignment]
        limit=ALL,
        arrived=lambda size, now: arrived.append((size, now)),
        round_trip=lambda seconds, now: trips.append((seconds, now)),
    )
    send_all(sender, now=1.0)
    sender.on_ack(ack(2, 2), 1.25)
    sender.on_ack(ack(2, 2), 1.5)
    assert arrived == [(1500 + 2 * FRAME_COST, 1.25)]
    assert trips == [(0.25, 1.25)]


@given(
    st.lists(
        st.tuples(st.sampled_from(["accept", "take", "lose", "ack"]), st.integers(0, 40_000)),
        max_size=40,
    ),
    st.integers(0, LEAST_BYTES),
    st.booleans(),
)
def test_however_little_may_be_under_way_all_of_it_arrives(
    steps: list[tuple[str, int]], limit: int, is_bulk: bool
) -> None:
    sender = sender_of(limit=limit, is_bulk=is_bulk)
    wire, now = ONE, 0.0
    for what, number in steps:
        now += 0.01
        if what == "accept":
            sender.accept(bytes(number))
        elif what == "take":
            send_all(sender, wire, now)
        elif what == "lose":
            sender.wire_lost(wire)
            wire += 1
        else:
            received = min(sender.received + number % 5, sender.unsent)
            sender.on_ack(ack(received, received), now)
        sender.flight.limit = limit  # whatever was measured
    sender.wire_lost(wire)
    for _ in range(sender.next_seq - sender.acknowledged):
        now += 0.01
        send_all(sender, wire + 1, now)
        sender.on_ack(ack(sender.unsent, sender.unsent), now)
        sender.flight.limit = limit
    assert sender.is_empty
