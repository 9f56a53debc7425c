"""Consecutive fragments in one frame: what is taken and counted, and that all arrives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.session.deadlines import Deadlines
from actr_peer.protocol.session.fragments import frame_count
from actr_peer.protocol.session.frames import (
    FRAGMENT_BYTES,
    REPLY_FLAG,
    Ack,
    Data,
    Reply,
    decode,
    fragment_head,
)
from actr_peer.protocol.session.latency import LatencyReceiver
from actr_peer.protocol.session.receiver import Delivery, Receiver
from actr_peer.protocol.session.runs import is_run, run_of, singles
from actr_peer.protocol.session.sender import WINDOW_BYTES, WINDOW_FRAMES, Sender
from actr_peer.protocol.session.wires.flight import FRAME_COST

ONE, TWO = 1, 2
ROOM = 5 * FRAGMENT_BYTES
STREAM = PayloadType.STREAM_RELIABLE
LONG = bytes(range(251)) * 300
"""75 300 bytes: five fragments."""


def taken(sender: Sender, room: int = ROOM, wire: int = ONE) -> Data | None:
    """The next frame as it comes out at the far side, a run where one fits."""
    frame = sender.take(wire, 0.0, min(room, FRAGMENT_BYTES), is_active=True)
    if frame is None:
        return None
    head, payload = (frame.head, frame.data) if frame.head else run_of(sender, frame, room)
    (data,) = decode(head + bytes(payload))
    assert isinstance(data, Data)
    return data


def sender_with(*messages: bytes, flag: int = 0) -> Sender:
    sender = Sender(flag)
    for message in messages:
        sender.accept(message)
    return sender


def receiver() -> Receiver:
    return Receiver(STREAM, max_message_bytes=1 << 24, waits=False)


def feed(target: Receiver | LatencyReceiver, *frames: Data) -> list[bytes]:
    out: list[Delivery] = []
    for frame in frames:
        target.receive(frame, 0.0, out)
    return [message for _, message, _ in out]


def test_a_message_goes_as_one_frame_where_it_fits() -> None:
    sender, target = sender_with(LONG, b"behind"), receiver()
    run = taken(sender)
    assert run == Data(0, 0, 5, LONG)
    assert (sender.unsent, sender.sent, sender.flight_bytes) == (5, 5, len(LONG))
    assert feed(target, run) == [LONG]
    assert (target.expected, target.acknowledged, target.is_empty) == (5, 5, True)
    sender.on_ack(target.ack(), 0.0)
    assert (sender.flight_bytes, sender.acknowledged) == (0, 5)
    assert taken(sender) == Data(5, 0, 1, b"behind")


def test_a_reply_goes_as_one_frame_too() -> None:
    run = taken(sender_with(LONG, flag=REPLY_FLAG))
    assert type(run) is Reply
    assert [type(frame) for frame in singles(run)] == [Reply] * 5


def test_a_run_ends_where_the_wire_message_does() -> None:
    sender, target = sender_with(LONG), receiver()
    first = taken(sender, 2 * FRAGMENT_BYTES + 5)
    assert first == Data(0, 0, 5, LONG[: 2 * FRAGMENT_BYTES])
    assert feed(target, first) == []
    assert feed(target, taken(sender) or first) == [LONG]


def test_a_run_ends_where_the_credit_does() -> None:
    sender = sender_with(LONG)
    sender.credit_bytes = 2 * FRAGMENT_BYTES
    assert len(taken(sender).payload) == 2 * FRAGMENT_BYTES  # type: ignore[union-attr]
    sender = sender_with(*[b""] * (WINDOW_FRAMES - 2), LONG)
    for _ in range(WINDOW_FRAMES - 2):
        taken(sender)
    assert len(taken(sender).payload) == 2 * FRAGMENT_BYTES  # type: ignore[union-attr]
    assert taken(sender) is None


def test_a_run_ends_where_no_more_may_be_under_way() -> None:
    sender = sender_with(LONG)
    sender.flight.limit = 3 * FRAGMENT_BYTES + 3 * FRAME_COST
    assert len(taken(sender).payload) == 3 * FRAGMENT_BYTES  # type: ignore[union-attr]
    assert taken(sender) is None


def test_what_is_sent_again_takes_nothing_new_with_it() -> None:
    sender = sender_with(LONG)
    taken(sender, FRAGMENT_BYTES)
    sender.wire_lost(ONE)
    again = taken(sender)
    assert again == Data(0, 0, 5, LONG[:FRAGMENT_BYTES])
    assert sender.unsent == 1


def test_fragments_of_a_run_are_sent_again_one_by_one() -> None:
    sender = sender_with(LONG)
    run = taken(sender)
    assert run is not None
    sender.on_ack(Ack(2, 2, 0, WINDOW_FRAMES, WINDOW_BYTES), 0.0)
    sender.wire_lost(ONE)
    again = [frame for _ in range(5) if (frame := taken(sender, wire=TWO)) is not None]
    assert again == list(singles(run))[2:]
    target = receiver()
    feed(target, *list(singles(run))[:2])
    assert feed(target, *again) == [LONG]


def test_a_run_of_which_some_came_before_is_taken_once() -> None:
    run = Data(0, 0, 5, LONG)
    one, two, three, four, five = singles(run)
    for before in ((one,), (three,), (two, four), (one, five), (two, three, four, five)):
        target = receiver()
        assert feed(target, *before) == []
        assert feed(target, run, run) == [LONG]
        assert (target.expected, target.held_bytes, target.is_empty) == (5, 0, True)
        assert target.duplicates == len(before) + 5


def test_a_run_that_comes_early_waits() -> None:
    target = receiver()
    assert feed(target, Data(1, 0, 5, LONG)) == []
    assert target.held_bytes == len(LONG)
    assert feed(target, Data(0, 0, 1, b"first")) == [b"first", LONG]


def test_a_run_beyond_the_window_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="awaited"):
        feed(receiver(), Data(WINDOW_FRAMES - 2, 0, 5, LONG))


def test_a_run_of_a_message_that_is_too_long_is_refused() -> None:
    target = Receiver(STREAM, max_message_bytes=70_000, waits=False)
    with pytest.raises(LimitError):
        feed(target, Data(0, 0, 5, LONG))


def test_the_latency_first_lane_takes_runs() -> None:
    target = LatencyReceiver(
        PayloadType.STREAM_LATENCY_FIRST, Deadlines(), max_message_bytes=1 << 24
    )
    run = Data(0, 0, 5, LONG)
    assert feed(target, list(singles(run))[3], run, run) == [LONG]


@pytest.mark.parametrize(
    ("size", "index", "count"),
    [
        pytest.param(2 * FRAGMENT_BYTES, 1, 2, id="more than are left of the message"),
        pytest.param(2 * FRAGMENT_BYTES - 1, 0, 3, id="cut inside of a fragment"),
    ],
)
def test_a_run_that_cannot_be_right_is_refused(size: int, index: int, count: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"{size} bytes as fragments"):
        list(decode(fragment_head(9, size, index, count) + bytes(size)))


def test_a_whole_message_is_no_run_however_long() -> None:
    assert not is_run(Data(0, 0, 1, LONG))


@given(
    sizes=st.lists(st.integers(0, 7 * FRAGMENT_BYTES), max_size=8),
    rooms=st.lists(st.integers(1, 6), min_size=1),
    luck=st.lists(st.sampled_from(["arrives", "comes twice", "is late", "is lost"]), min_size=1),
)
def test_whatever_is_cut_lost_late_or_doubled_arrives_once_and_in_order(
    sizes: list[int], rooms: list[int], luck: list[str]
) -> None:
    messages = [bytes([n]) * size for n, size in enumerate(sizes)]
    sender, target = sender_with(*messages), receiver()
    arrived: list[bytes] = []
    late: list[Data] = []
    for turn in range(200):
        frame = taken(sender, rooms[turn % len(rooms)] * FRAGMENT_BYTES)
        if frame is None:
            arrived += feed(target, *late)
            late.clear()
            sender.on_ack(target.ack(), 0.0)
            if sender.is_empty:
                break
            sender.wire_lost(ONE)
            continue
        fate = luck[turn % len(luck)] if turn < 100 else "arrives"
        if fate == "is late":
            late.append(frame)
        elif fate != "is lost":
            arrived += feed(target, *[frame] * (2 if fate == "comes twice" else 1))
    assert arrived == messages
    assert (target.expected, sender.flight_bytes) == (sum(map(frame_count, sizes)), 0)
