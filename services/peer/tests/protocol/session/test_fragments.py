from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.payload import MAX_MESSAGE_BYTES
from actr_peer.protocol.session.fragments import (
    MAX_PARTS,
    PART_COST,
    Joiner,
    Reassembler,
    cut,
    frame_count,
)
from actr_peer.protocol.session.frames import FRAGMENT_BYTES, Data, decode


def parts_of(message: bytes, seq: int = 0) -> list[Data]:
    wire = [head + bytes(data) for head, data in cut(message, seq)]
    found = []
    for one in wire:
        (frame,) = decode(one)
        assert isinstance(frame, Data)
        found.append(frame)
    return found


def small(message: bytes, seq: int, size: int) -> list[Data]:
    """Fragments smaller than this side makes: a far side may choose its own size."""
    count = max(1, -(-len(message) // size))
    return [Data(seq + n, n, count, message[n * size : (n + 1) * size]) for n in range(count)]


@pytest.mark.parametrize("size", [0, 1, FRAGMENT_BYTES, FRAGMENT_BYTES + 1, 5 * FRAGMENT_BYTES])
def test_a_message_of_any_size_survives_cutting(size: int) -> None:
    message = bytes(n % 251 for n in range(size))
    frames = parts_of(message, seq=7)
    assert [frame.seq for frame in frames] == list(range(7, 7 + frame_count(size)))
    joiner = Joiner(1 << 20)
    if len(frames) == 1:
        assert frames[0] == Data(7, 0, 1, message)
    else:
        assert [joiner.add(frame) for frame in frames] == [None] * (len(frames) - 1) + [message]
    assert joiner.is_empty


def test_a_message_of_too_many_fragments_is_refused() -> None:
    with pytest.raises(LimitError):
        list(cut(bytes(FRAGMENT_BYTES * 65_536), 0))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(Data(1, 0, 3, b"x"), id="another message begins"),
        pytest.param(Data(1, 2, 3, b"x"), id="one is skipped"),
        pytest.param(Data(1, 1, 4, b"x"), id="the count changes"),
        pytest.param(Data(1, 0, 1, b"x"), id="a whole message in between"),
    ],
)
def test_a_fragment_that_cannot_follow_is_the_far_sides_fault(frame: Data) -> None:
    joiner = Joiner(100)
    joiner.add(Data(0, 0, 3, b"a"))
    with pytest.raises(RemoteProtocolError):
        joiner.add(frame)


def test_a_message_cannot_begin_in_its_middle() -> None:
    with pytest.raises(RemoteProtocolError):
        Joiner(100).add(Data(5, 1, 3, b"a"))


def test_a_joined_message_has_a_longest_length() -> None:
    joiner = Joiner(10)
    joiner.add(Data(0, 0, 3, b"12345678"))
    with pytest.raises(LimitError) as caught:
        joiner.add(Data(1, 1, 3, b"90a"))
    assert (caught.value.limit, caught.value.asked) == (10, 11)


@given(
    st.lists(st.binary(min_size=2, max_size=60), min_size=1, max_size=5),
    st.integers(1, 20),
    st.integers(),
)
def test_messages_survive_any_order_of_their_fragments_and_repeats(
    messages: list[bytes], size: int, seed: int
) -> None:
    frames, seq = [], 0
    for message in messages:
        several = small(message, seq, size)
        seq += len(several)
        frames += [frame for frame in several if frame.parts > 1]
    expected = sorted(message for message in messages if len(message) > size)
    once = list(frames)
    Random(seed).shuffle(once)
    box = Reassembler(max_bytes=1000)
    whole = [done for frame in once if (done := box.add(frame, 0.0)) is not None]
    assert sorted(whole) == expected
    assert (box.held_bytes, box.is_empty) == (0, True)


def test_a_repeated_fragment_of_an_unfinished_message_changes_nothing() -> None:
    box = Reassembler(max_bytes=100)
    for _ in range(2):
        assert box.add(Data(4, 1, 2, b"b"), 0.0) is None
    assert box.held_bytes == 1
    assert box.add(Data(3, 0, 2, b"a"), 0.0) == b"ab"


def test_fragments_that_contradict_each_other_are_the_far_sides_fault() -> None:
    box = Reassembler(max_bytes=100)
    box.add(Data(0, 0, 2, b"a"), 0.0)
    with pytest.raises(RemoteProtocolError):
        box.add(Data(1, 1, 3, b"b"), 0.0)


def test_too_many_unfinished_messages_push_out_the_oldest() -> None:
    box = Reassembler(max_bytes=100, max_messages=2)
    for first in (0, 10, 20):
        box.add(Data(first, 0, 2, b"a"), 0.0)
    assert box.given_up == 1
    assert box.add(Data(1, 1, 2, b"b"), 0.0) is None
    assert box.add(Data(21, 1, 2, b"b"), 0.0) == b"ab"


def test_too_many_bytes_push_out_the_oldest() -> None:
    box = Reassembler(max_bytes=10)
    box.add(Data(0, 0, 3, b"123456"), 0.0)
    box.add(Data(10, 0, 3, b"123456"), 0.0)
    assert (box.held_bytes, box.given_up) == (6, 1)


def test_a_message_that_is_too_long_alone_is_given_up() -> None:
    box = Reassembler(max_bytes=10)
    box.add(Data(0, 0, 3, b"123456"), 0.0)
    box.add(Data(1, 1, 3, b"123456"), 0.0)
    assert (box.held_bytes, box.is_empty, box.given_up) == (0, True, 1)


def test_too_many_fragments_push_out_the_oldest_however_short_they_are() -> None:
    box = Reassembler(max_bytes=1000, max_parts=3)
    for seq in (0, 1, 10, 11):
        box.add(Data(seq, seq % 10, 3, b"a"), 0.0)
    assert (box.held_parts, box.held_bytes, box.given_up) == (2, 2, 1)
    assert box.all_bytes == 2 + 2 * PART_COST
    assert box.add(Data(12, 2, 3, b"b"), 0.0) == b"aab"
    assert (box.held_parts, box.all_bytes) == (0, 0)
    box.add(Data(20, 0, 3, b"a"), 0.0)
    box.clear()
    assert box.all_bytes == 0


def test_the_longest_message_takes_fewer_fragments_than_are_held() -> None:
    assert frame_count(MAX_MESSAGE_BYTES) < MAX_PARTS // 8


def test_unfinished_messages_are_forgotten_with_age() -> None:
    box = Reassembler(max_bytes=100, max_age=10.0)
    box.add(Data(0, 0, 2, b"a"), now=0.0)
    box.expire(now=10.0)
    assert not box.is_empty
    box.expire(now=10.1)
    assert (box.is_empty, box.held_bytes, box.given_up) == (True, 0, 1)


def test_a_joiner_keeps_no_wire_message_of_which_it_holds_a_fragment() -> None:
    joiner = Joiner(1 << 20)
    message = bytes(range(256)) * 256
    for frame in parts_of(message)[:-1]:
        padded = memoryview(bytes(frame.payload) + bytes(50_000))[: len(frame.payload)]
        assert joiner.add(frame._replace(payload=padded)) is None
    assert {type(part) for part in joiner._parts} == {bytes}
    assert joiner.add(parts_of(message)[-1]) == message
    assert joiner.is_empty
