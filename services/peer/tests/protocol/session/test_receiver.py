from __future__ import annotations

from itertools import permutations

import pytest

from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.session.frames import FRAGMENT_BYTES, Ack, Data
from actr_peer.protocol.session.receiver import (
    ACK_EVERY,
    ACK_WITHIN,
    EPOCH_BITS,
    LONG_BYTES,
    Delivery,
    Receiver,
)
from actr_peer.protocol.session.sender import WINDOW_BYTES, WINDOW_FRAMES, Sender

RPC, STREAM = PayloadType.RPC_RELIABLE, PayloadType.STREAM_RELIABLE


def stream(max_message_bytes: int = 1 << 24) -> Receiver:
    return Receiver(STREAM, max_message_bytes=max_message_bytes, waits=False)


def rpc() -> Receiver:
    return Receiver(RPC, max_message_bytes=1 << 24, waits=True)


def feed(receiver: Receiver, *frames: Data, now: float = 0.0) -> list[Delivery]:
    out: list[Delivery] = []
    for frame in frames:
        receiver.receive(frame, now, out)
    return out


def whole(*numbers: int) -> list[Data]:
    return [Data(n, 0, 1, b"%d" % n) for n in numbers]


@pytest.mark.parametrize("order", tuple(permutations(range(4))))
def test_any_order_of_arrival_is_delivered_in_order(order: tuple[int, ...]) -> None:
    receiver = stream()
    out = feed(receiver, *whole(*order))
    assert out == [(STREAM, b"%d" % n, n) for n in range(4)]
    assert (receiver.held_bytes, receiver.is_empty) == (0, True)


def test_what_comes_again_is_dropped_and_counted() -> None:
    receiver = stream()
    out = feed(receiver, *whole(0, 2, 0, 2, 1, 1, 2))
    assert [message for _, message, _ in out] == [b"0", b"1", b"2"]
    assert receiver.duplicates == 4
    assert receiver.was_repeated


def test_a_message_is_numbered_by_its_last_fragment() -> None:
    receiver = rpc()
    out = feed(receiver, Data(0, 0, 2, b"ab"), Data(1, 1, 2, b"c"), Data(2, 0, 1, b"d"))
    assert out == [(RPC, b"abc", 1), (RPC, b"d", 2)]


def test_holding_back_ends_where_the_credit_does() -> None:
    receiver = stream()
    feed(receiver, *whole(WINDOW_FRAMES - 1))
    with pytest.raises(RemoteProtocolError):
        feed(receiver, *whole(WINDOW_FRAMES))


def test_holding_back_has_a_bound_in_bytes() -> None:
    receiver = stream()
    half = bytes(WINDOW_BYTES // 2)
    feed(receiver, Data(1, 0, 1, half), Data(2, 0, 1, half))
    with pytest.raises(LimitError):
        feed(receiver, Data(3, 0, 1, b"x"))


def test_a_message_longer_than_announced_is_refused() -> None:
    with pytest.raises(LimitError):
        feed(stream(10), Data(0, 0, 2, bytes(8)), Data(1, 1, 2, bytes(8)))


def test_a_stream_item_is_acknowledged_when_delivered() -> None:
    receiver = stream()
    feed(receiver, *whole(0, 1), Data(2, 0, 2, b"a"))
    assert receiver.ack() == Ack(STREAM, 3, 2, WINDOW_FRAMES, WINDOW_BYTES)


def test_an_rpc_message_is_acknowledged_when_stored_and_takes_credit_until_then() -> None:
    receiver = rpc()
    feed(receiver, *whole(0, 1, 2))
    assert receiver.ack() == Ack(RPC, 3, 0, WINDOW_FRAMES - 3, WINDOW_BYTES - 3)
    receiver.acknowledge(0, 0.0)
    assert receiver.ack() == Ack(RPC, 3, 1, WINDOW_FRAMES - 2, WINDOW_BYTES - 2)


def test_storing_out_of_order_is_acknowledged_in_order() -> None:
    receiver = rpc()
    feed(receiver, *whole(0, 1, 2, 3))
    for number in (2, 1, 2):
        receiver.acknowledge(number, 0.0)
        assert receiver.acknowledged == 0
    receiver.acknowledge(0, 0.0)
    assert receiver.acknowledged == 3
    receiver.acknowledge(3, 0.0)
    assert (receiver.acknowledged, receiver.is_empty, receiver.waiting_bytes) == (4, True, 0)


@pytest.mark.parametrize("number", [0, 7, 1 << 50, -1])
def test_acknowledging_what_does_not_wait_changes_nothing(number: int) -> None:
    receiver = rpc()
    feed(receiver, *whole(0, 1))
    receiver.acknowledge(0, 0.0)
    before = receiver.ack()
    receiver.acknowledge(number, 0.0)
    assert receiver.ack() == before


def test_a_late_acknowledgement_of_an_old_process_touches_nothing_of_the_new() -> None:
    receiver = rpc()
    feed(receiver, *whole(0, 1))
    receiver.restart()
    ((_, _, number),) = feed(receiver, *whole(0))
    assert number == 1 << EPOCH_BITS
    receiver.acknowledge(0, 0.0)
    assert receiver.acknowledged == 0
    receiver.acknowledge(number, 0.0)
    assert receiver.acknowledged == 1


def test_a_remote_that_ignores_credit_is_stopped() -> None:
    receiver = rpc()
    with pytest.raises(LimitError):
        feed(receiver, *whole(*range(3 * WINDOW_FRAMES)))


def test_a_remote_that_ignores_credit_is_stopped_at_the_window_and_one_message() -> None:
    receiver = rpc()
    piece = bytes(16_000)
    feed(receiver, *(Data(part, part, 1000, piece) for part in range(1000)))
    second = [Data(1000 + part, part, 1000, piece) for part in range(1000)]
    with pytest.raises(LimitError) as caught:
        feed(receiver, *second)
    assert caught.value.limit == WINDOW_BYTES + (1 << 24) + FRAGMENT_BYTES


@pytest.mark.parametrize("size", [300, 200_000, 4_000_000, 1 << 24])
def test_a_remote_that_keeps_to_its_credit_is_never_stopped(size: int) -> None:
    sender, receiver = Sender(), rpc()
    sent = 0
    for _ in range(200):
        if sender.held_bytes < 4 * WINDOW_BYTES:
            sender.accept(bytes(size))
        while (frame := sender.take(1, 0.0, FRAGMENT_BYTES, is_active=True)) is not None:
            count = -(-size // FRAGMENT_BYTES)
            part = frame.seq - frame.first
            feed(receiver, Data(frame.seq, part, count, bytes(frame.size)))
            sent += 1
            if sent % 50 == 0:
                sender.on_ack(receiver.ack(), 0.0)
        sender.on_ack(receiver.ack(), 0.0)
    assert (
        receiver.waiting_bytes >= WINDOW_BYTES
        or receiver.ack().credit_messages == 0
        or (size == 300)
    )
    assert receiver.all_bytes >= receiver.waiting_bytes


def test_what_waits_for_the_mailbox_is_held() -> None:
    receiver = rpc()
    feed(receiver, *whole(0, 1))
    assert receiver.all_bytes == 2
    receiver.acknowledge(0, 0.0)
    receiver.acknowledge(1, 0.0)
    assert receiver.all_bytes == 0


def test_word_is_due_after_eight_messages_or_a_moment() -> None:
    receiver = stream()
    feed(receiver, *whole(0), now=5.0)
    assert (receiver.has_news, receiver.ack_at) == (True, 5.0 + ACK_WITHIN)
    feed(receiver, *whole(*range(1, ACK_EVERY)), now=5.01)
    assert (receiver.pending, receiver.ack_at) == (ACK_EVERY, 5.0 + ACK_WITHIN)
    receiver.told()
    assert (receiver.has_news, receiver.pending) == (False, 0)


def test_long_frames_count_twice_towards_word() -> None:
    receiver = stream()
    receiver.receive(Data(0, 0, 1, bytes(3 * LONG_BYTES)), 0.0, [])
    assert receiver.pending == 2
    receiver.receive(Data(1, 0, 2, bytes(LONG_BYTES)), 0.0, [])
    assert receiver.pending == 4


def test_an_rpc_message_counts_towards_word_when_it_is_stored() -> None:
    receiver = rpc()
    feed(receiver, *whole(0), now=5.0)
    assert (receiver.has_news, receiver.pending) == (True, 0)
    receiver.told()
    receiver.acknowledge(0, 6.0)
    assert (receiver.pending, receiver.ack_at) == (1, 6.0 + ACK_WITHIN)
