from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.media.assembly import Assembler, Whole
from actr_peer.protocol.media.missing import SEQUENCES

Packet = tuple[int, int, bytes, bool]


def packets(frames: list[list[bytes]], *, start: int = 0) -> list[Packet]:
    """(sequence, timestamp, data, is last) of each packet."""
    made: list[Packet] = []
    for number, parts in enumerate(frames):
        for index, part in enumerate(parts):
            sequence = (start + len(made)) % SEQUENCES
            made.append((sequence, number * 3000, part, index == len(parts) - 1))
    return made


def feed(assembler: Assembler, packet: Packet, now: float = 0.0) -> list[Whole]:
    sequence, timestamp, data, is_last = packet
    return assembler.add(sequence, timestamp, data, is_last=is_last, now=now)


def test_a_frame_leaves_with_its_last_packet() -> None:
    assembler = Assembler()
    first, second = packets([[b"a", b"b"]], start=7)
    assert feed(assembler, first) == []
    assert feed(assembler, second) == [Whole(b"ab", 0, 7, 8)]
    assert assembler.held_bytes == 0


@given(
    st.lists(st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=6), max_size=12),
    st.integers(0, SEQUENCES - 1),
    st.integers(0, 2**32),
)
def test_frames_survive_any_order_after_the_first_and_repetition(
    frames: list[list[bytes]], start: int, seed: int
) -> None:
    line = packets(frames, start=start)
    rest = line[1:] * 2
    random.Random(seed).shuffle(rest)
    assembler = Assembler()
    out = [frame for packet in line[:1] + rest for frame in feed(assembler, packet)]
    assert [frame.data for frame in out] == [b"".join(parts) for parts in frames]
    assert assembler.held_bytes == 0
    assert assembler.lost_frames == 0


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=12),
    st.sets(st.integers(1, 60)),
)
def test_a_lost_packet_loses_its_frame_and_never_joins_two(
    lengths: list[int], lost: set[int]
) -> None:
    frames = [[b"%d:%d " % (n, i) for i in range(length)] for n, length in enumerate(lengths)]
    assembler = Assembler(patience=1.0)
    line = packets(frames)
    out = []
    for index, packet in enumerate(line):
        if index not in lost:
            out += feed(assembler, packet, now=index * 10.0)  # each hole is overdue at once
    whole = {b"".join(parts) for parts in frames}
    assert all(frame.data in whole for frame in out)
    assert len({frame.data for frame in out}) == len(out)
    assert assembler.held_bytes == sum(len(part) for part in assembler._parts) + sum(
        len(packet.data) for packet in assembler._packets.values()
    )


def test_a_hole_is_waited_for_and_then_skipped() -> None:
    assembler = Assembler(patience=0.25)
    line = packets([[b"a", b"b"], [b"c"], [b"d"]])
    assert feed(assembler, line[0], now=0.0) == []
    assert feed(assembler, line[2], now=0.1) == []
    assert feed(assembler, line[3], now=0.3) == []
    later = (4, 9000, b"e", True)
    assert [frame.data for frame in feed(assembler, later, now=0.36)] == [b"d", b"e"]
    assert assembler.lost_frames == 1


def test_the_rest_of_a_frame_that_was_given_up_is_dropped() -> None:
    assembler = Assembler(patience=0.25)
    line = packets([[b"a", b"b", b"c", b"d"], [b"e"]])
    feed(assembler, line[0], now=0.0)
    feed(assembler, line[2], now=0.1)
    assert assembler.expire(now=0.2) == []
    assert feed(assembler, (9, 3000, b"x", True), now=1.0) == []
    assert assembler.lost_frames == 1


def test_a_frame_of_any_number_of_packets_is_put_together() -> None:
    assembler = Assembler()
    line = packets([[b"x" * 1200] * 3000], start=64_000)
    out = [frame for packet in line for frame in feed(assembler, packet)]
    assert [len(frame.data) for frame in out] == [3_600_000]


def test_what_is_held_never_passes_its_bound() -> None:
    assembler = Assembler(max_held_bytes=10_000, patience=1e9)
    for sequence in range(0, 3000, 2):
        assembler.add(sequence, sequence // 10, b"x" * 100, is_last=False, now=0.0)
        assert assembler.held_bytes <= 10_000
    assert assembler.lost_frames > 0


def test_a_new_timestamp_ends_a_frame_without_a_marker() -> None:
    assembler = Assembler()
    assembler.add(0, 0, b"a", is_last=False, now=0.0)
    frames = assembler.add(1, 3000, b"b", is_last=True, now=0.0)
    assert [frame.data for frame in frames] == [b"a", b"b"]


def test_a_packet_that_comes_again_or_from_before_changes_nothing() -> None:
    assembler = Assembler()
    first, second, third = packets([[b"a", b"b", b"c"]], start=7)
    feed(assembler, first)
    feed(assembler, third)
    for again in (first, third):
        assert feed(assembler, again) == []
    assert feed(assembler, second) == [Whole(b"abc", 0, 7, 9)]


def test_late_packets_of_a_frame_that_was_given_up_are_dropped() -> None:
    assembler = Assembler()
    spoiled, last = packets([[b"a", b"b", b"c", b"d"], [b"e"]])[:4], (4, 3000, b"e", True)
    feed(assembler, spoiled[0])
    feed(assembler, spoiled[2])
    assembler.expire(now=0.0)
    assert assembler.expire(now=1e9) == []
    assert feed(assembler, spoiled[3]) == []
    assert assembler.held_bytes == 0
    assert feed(assembler, last) == [Whole(b"e", 3000, 4, 4)]
