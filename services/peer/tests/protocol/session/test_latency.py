from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.session.deadlines import Deadlines
from actr_peer.protocol.session.frames import FRAGMENT_BYTES, Data
from actr_peer.protocol.session.latency import WINDOW, LatencyReceiver, LatencySender
from actr_peer.protocol.session.receiver import Delivery
from actr_peer.protocol.session.sender import Outgoing

LATENCY = PayloadType.STREAM_LATENCY_FIRST


def receiver() -> LatencyReceiver:
    return LatencyReceiver(LATENCY, Deadlines(), max_message_bytes=1 << 20)


def feed(lane: LatencyReceiver, *frames: Data, now: float = 0.0) -> list[bytes]:
    out: list[Delivery] = []
    for frame in frames:
        lane.receive(frame, now, out)
    return [message for _, message, _ in out]


def take(sender: LatencySender, now: float, room: int) -> Outgoing | None:
    return sender.take(1, now, room, is_active=True)


def taken(sender: LatencySender, now: float) -> list[bytes]:
    found = []
    while (frame := take(sender, now, FRAGMENT_BYTES)) is not None:
        found.append(bytes(frame.data))
    return found


def test_what_waited_longer_than_its_life_is_dropped_and_counted() -> None:
    sender = LatencySender(Deadlines(), lifetime=0.1)
    sender.accept(b"old", 0.0)
    sender.accept(b"new", 0.05)
    assert sender.due() == pytest.approx(0.1)
    assert taken(sender, 0.12) == [b"new"]
    assert (sender.dropped, sender.sent, sender.held_bytes) == (1, 1, 0)
    assert sender.due() == float("inf")


def test_too_many_that_wait_drop_the_oldest() -> None:
    sender = LatencySender(Deadlines(), lifetime=0.1, max_queued=2)
    for body in (b"a", b"b", b"c"):
        sender.accept(body, 0.0)
    assert (sender.dropped, sender.queued, sender.held_bytes) == (1, 2, 2)
    assert taken(sender, 0.0) == [b"b", b"c"]


def test_a_long_message_goes_in_fragments_and_its_rest_is_dropped_when_old() -> None:
    sender = LatencySender(Deadlines(), lifetime=0.1)
    sender.accept(bytes(3 * FRAGMENT_BYTES), 0.0)
    assert take(sender, 0.0, FRAGMENT_BYTES) is not None
    assert sender.due() == pytest.approx(0.1)
    assert take(sender, 0.2, FRAGMENT_BYTES) is None
    assert (sender.dropped, sender.held_bytes, sender.is_empty) == (1, 0, True)


def test_a_frame_waits_for_a_wire_message_with_room() -> None:
    sender = LatencySender(Deadlines(), lifetime=0.1)
    sender.accept(bytes(100), 0.0)
    assert take(sender, 0.0, 99) is None
    assert take(sender, 0.0, 100) is not None


def test_a_restart_drops_a_message_of_which_a_part_has_gone() -> None:
    sender = LatencySender(Deadlines(), lifetime=0.1)
    sender.accept(bytes(2 * FRAGMENT_BYTES), 0.0)
    sender.accept(b"whole", 0.0)
    take(sender, 0.0, FRAGMENT_BYTES)
    assert sender.restart() == 1
    assert sender.dropped == 1
    frame = take(sender, 0.0, FRAGMENT_BYTES)
    assert frame is not None
    assert (frame.seq, frame.data) == (0, b"whole")
    assert sender.held_bytes == 0


@given(st.lists(st.integers(0, 3 * WINDOW), max_size=200))
def test_nothing_is_delivered_twice_whatever_comes(numbers: list[int]) -> None:
    lane = receiver()
    got = feed(lane, *[Data(n, 0, 1, b"%d" % n) for n in numbers])
    assert len(got) == len(set(got))
    assert len(got) + lane.duplicates == len(numbers)


@given(st.integers(), st.integers(1, WINDOW - 1))
def test_everything_within_the_window_is_delivered_once(seed: int, count: int) -> None:
    numbers = [n for n in range(count) for _ in range(2)]
    Random(seed).shuffle(numbers)
    lane = receiver()
    got = feed(lane, *[Data(n, 0, 1, b"%d" % n) for n in numbers])
    assert sorted(got) == sorted(b"%d" % n for n in range(count))


def test_a_number_beyond_all_bounds_costs_nothing() -> None:
    lane = receiver()
    assert feed(lane, Data(2**64 - 1, 0, 1, b"a"), Data(0, 0, 1, b"b")) == [b"a"]
    assert lane.duplicates == 1


def test_fragments_in_any_order_are_put_together() -> None:
    lane = receiver()
    assert feed(lane, Data(5, 1, 2, b"b"), Data(6, 0, 1, b"x"), Data(4, 0, 2, b"a")) == [
        b"x",
        b"ab",
    ]
    assert (lane.is_empty, lane.all_bytes, lane.messages) == (True, 0, 2)


def test_unfinished_messages_are_forgotten_with_age_and_with_a_restart() -> None:
    lane = receiver()
    feed(lane, Data(0, 0, 2, b"a"), now=0.0)
    lane.expire(11.0)
    assert (lane.is_empty, lane.unfinished) == (True, 1)
    feed(lane, Data(4, 0, 2, b"a"), now=11.0)
    lane.restart()
    assert (lane.is_empty, lane.expected) == (True, 0)
    assert feed(lane, Data(0, 0, 1, b"again")) == [b"again"]


def test_only_the_wire_in_use_takes_what_is_worthless_when_late() -> None:
    sender = LatencySender(Deadlines(), lifetime=0.1)
    sender.accept(b"new", 0.0)
    assert sender.take(1, 0.0, FRAGMENT_BYTES, is_active=False) is None
    assert not sender.has_work(1, is_active=False)
    assert taken(sender, 0.0) == [b"new"]
