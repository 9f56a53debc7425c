"""The two halves of a stream: credit by items and bytes, sequence, end, and every transition."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import BrokenError, CallError, Code, LimitError, RemoteProtocolError
from actr_peer.protocol.streams.age import LIFETIME
from actr_peer.protocol.streams.chunks import NO_CREDIT, Chunk, Credit, Kind
from actr_peer.protocol.streams.halves import (
    FIRST,
    WINDOW,
    WINDOW_BYTES,
    ReadingHalf,
    WritingHalf,
)
from actr_peer.protocol.streams.states import OVER, TABLE, Input, Side, State

ABORTED = CallError(Code.ABORTED, "no more")


def item(sequence: int, size: int = 10) -> Chunk:
    return Chunk("c", sequence, b"x", size=size)


def end(count: int) -> Chunk:
    return Chunk("c", count, kind=Kind.END)


def reading(*, is_metered: bool = True) -> ReadingHalf:
    half = ReadingHalf(is_metered=is_metered)
    half.listen()
    return half


@pytest.mark.parametrize("half_of", [WritingHalf, ReadingHalf])
@pytest.mark.parametrize(("state", "event"), list(product(State, Input)))
def test_every_pair_is_a_row_or_changes_nothing(half_of: type, state: State, event: Input):
    half = WritingHalf(None, is_metered=True) if half_of is WritingHalf else reading()
    side = Side.WRITER if half_of is WritingHalf else Side.READER
    half.state = state
    assert half.step(event) is ((side, state, event) in TABLE)
    assert half.state is TABLE.get((side, state, event), state)


# The writer


def test_a_writer_spends_items_and_bytes_and_waits_at_the_end_of_either():
    half = WritingHalf(Credit(2, 100), is_metered=True)
    half.spend(10)
    assert half.may_send
    half.spend(10)
    assert not half.may_send
    half.grant(Credit(1, 0x10))
    assert half.may_send
    half.spend(200)
    half.grant(Credit(5, 50))
    assert not half.may_send
    half.grant(Credit(0, 100))
    assert half.may_send


def test_the_last_item_may_be_longer_than_what_is_left():
    half = WritingHalf(Credit(2, 1), is_metered=True)
    assert half.may_send
    half.spend(16 << 20)
    assert not half.may_send


def test_a_grant_that_names_no_bytes_lifts_the_limit_on_them():
    half = WritingHalf(Credit(1, 10), is_metered=True)
    half.spend(1000)
    half.grant(Credit(1, 0))
    assert half.may_send
    half.spend(1 << 30)
    half.grant(Credit(1, 0))
    assert half.may_send


def test_a_grant_of_nothing_is_neither_an_item_nor_a_listener():
    half = WritingHalf(None, is_metered=True)
    assert not half.grant(NO_CREDIT)
    assert half.state is State.WAITING


def test_the_end_waits_for_the_far_side_to_listen():
    half = WritingHalf(None, is_metered=True)
    assert not half.end()
    assert half.state is State.HALF_CLOSED
    assert half.grant(FIRST)
    assert half.state is State.ENDED
    assert not half.grant(FIRST)


def test_what_is_granted_beyond_the_first_window_was_taken_before():
    half = WritingHalf(None, is_metered=True)
    for granted, sent, taken in ((64, 40, 0), (16, 0, 16), (16, 0, 32), (1000, 0, 40)):
        half.grant(Credit(granted, 1 << 20))
        for _ in range(sent):
            half.spend(1)
        assert half.taken == taken, "never more than was sent, whatever the far side grants"


def test_an_end_is_said_once():
    half = WritingHalf(FIRST, is_metered=True)
    assert half.end()
    assert not half.end()
    assert not half.fail(BrokenError("late"))
    assert half.error is None


def test_latency_first_items_cost_nothing_but_wait_for_a_listener():
    half = WritingHalf(NO_CREDIT, is_metered=False)
    assert not half.may_send
    half.grant(Credit(1, 1))
    for _ in range(100):
        assert half.may_send
        half.spend(1000)


# The reader


def test_items_that_are_held_come_out_in_order_and_then_the_half_has_ended():
    half = reading()
    for number in range(3):
        half.receive(item(number))
    half.receive(end(3))
    assert half.state is State.HALF_CLOSED
    assert [half.take().sequence for _ in range(3)] == [0, 1, 2]
    assert half.state is State.ENDED


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([item(1)], id="the first item is missing"),
        pytest.param([item(0), item(2)], id="a gap"),
        pytest.param([item(0), item(0)], id="a repeat"),
        pytest.param([end(1)], id="an end that counts an item that did not come"),
        pytest.param([item(0), item(1), end(1)], id="an end that counts too few"),
    ],
)
def test_a_stream_that_is_not_whole_is_broken_and_no_shorter_one(chunks: list[Chunk]):
    half = reading()
    for chunk in chunks[:-1]:
        half.receive(chunk)
    with pytest.raises(RemoteProtocolError):
        half.receive(chunks[-1])
    assert half.state is State.FAILED
    assert isinstance(half.error, RemoteProtocolError)
    assert len(half.held) == sum(chunk.is_item for chunk in chunks[:-1])


@pytest.mark.parametrize("chunk", [item(0), end(0)], ids=["an item", "an end"])
@pytest.mark.parametrize("is_metered", [True, False])
def test_nothing_may_come_before_the_first_grant(chunk: Chunk, *, is_metered: bool):
    half = ReadingHalf(is_metered=is_metered)
    with pytest.raises(RemoteProtocolError):
        half.receive(chunk)
    assert half.state is State.FAILED


def test_an_error_may_come_before_the_first_grant():
    half = ReadingHalf(is_metered=True)
    half.receive(Chunk("c", kind=Kind.ERROR, error=ABORTED))
    assert half.error is ABORTED


def test_one_item_more_than_granted_breaks_the_stream():
    half = reading()
    for number in range(WINDOW):
        half.receive(item(number))
    with pytest.raises(LimitError):
        half.receive(item(WINDOW))
    assert len(half.held) == WINDOW


def test_what_is_held_is_less_than_the_window_and_one_item_more():
    half = reading()
    half.receive(item(0, WINDOW_BYTES - 1))
    half.receive(item(1, 16 << 20))
    with pytest.raises(LimitError):
        half.receive(item(2, 1))
    assert half.held_bytes == WINDOW_BYTES - 1 + (16 << 20)


def test_a_grant_is_due_for_a_part_of_the_window_in_items_or_bytes():
    half = reading()
    for number in range(WINDOW):
        half.receive(item(number, 10))
    due = []
    for _ in range(WINDOW):
        half.take()
        due.append(half.due())
    assert [credit for credit in due if credit] == [Credit(WINDOW // 4, WINDOW // 4 * 10)] * 4
    half.receive(item(WINDOW, WINDOW_BYTES // 2))
    half.take()
    assert half.due() == Credit(1, WINDOW_BYTES // 2)


def test_a_closed_half_drops_what_it_holds_and_tells_once():
    half = reading()
    half.receive(item(0))
    assert half.close()
    assert not half.held
    assert not half.close()
    half.receive(item(1))
    assert not half.held


def test_a_slow_latency_first_reader_loses_the_oldest_by_items_and_by_bytes():
    half = reading(is_metered=False)
    for number in range(WINDOW + 5):
        half.receive(item(number))
    assert half.dropped == 5
    half.receive(item(100, WINDOW_BYTES * 2))
    assert [chunk.sequence for chunk in half.held] == [100]
    half.receive(item(101))
    assert [chunk.sequence for chunk in half.held] == [101]


def test_a_latency_first_end_waits_for_what_it_overtook_in_any_order():
    half = reading(is_metered=False)
    half.receive(item(2))
    half.receive(end(3))
    assert half.is_short
    half.receive(item(0))
    half.receive(item(1))
    assert not half.is_short
    assert [half.take().sequence for _ in range(3)] == [2, 0, 1]
    assert half.state is State.ENDED
    half.receive(item(1))
    assert not half.held


def test_a_latency_first_end_gives_up_on_what_is_lost():
    half = reading(is_metered=False)
    half.receive(end(3))
    assert half.state is State.HALF_CLOSED
    half.give_up_on_late()
    assert half.state is State.ENDED


# Both


class Joined:
    """A writer and a reader, and what is under way between them, in both directions."""

    def __init__(self, sizes: list[int]) -> None:
        self.writer = WritingHalf(None, is_metered=True)
        self.reader = ReadingHalf(is_metered=True)
        self.forth: deque[Chunk] = deque()
        self.back: deque[Credit] = deque([self.reader.listen()])
        self.waiting = deque(enumerate(sizes))
        self.taken: list[int] = []

    def possible(self) -> list[Callable[[], None]]:
        return [
            step
            for step, may in (
                (self.send, self.waiting and self.writer.may_send),
                (
                    self.end,
                    not self.waiting and (Side.WRITER, self.writer.state, Input.END) in TABLE,
                ),
                (self.carry, self.forth),
                (self.grant, self.back),
                (self.take, self.reader.held),
            )
            if may
        ]

    def send(self) -> None:
        number, size = self.waiting.popleft()
        self.forth.append(item(number, size))
        self.writer.spend(size)

    def end(self) -> None:
        if self.writer.end():
            self.forth.append(end(self.writer.sent))

    def carry(self) -> None:
        self.reader.receive(self.forth.popleft())

    def grant(self) -> None:
        if self.writer.grant(self.back.popleft()):
            self.forth.append(end(self.writer.sent))

    def take(self) -> None:
        self.taken.append(self.reader.take().sequence)
        credit = self.reader.due()
        if credit is not None:
            self.back.append(credit)


@given(st.lists(st.integers(1, WINDOW_BYTES * 2), max_size=200), st.randoms())
def test_two_halves_never_stand_still_and_hold_a_bounded_number_of_bytes(
    sizes: list[int], dice: Random
):
    joined = Joined(sizes)
    while steps := joined.possible():
        dice.choice(steps)()
        assert joined.reader.held_bytes <= WINDOW_BYTES + max(sizes, default=0)
        assert len(joined.reader.held) <= WINDOW
    assert joined.taken == list(range(len(sizes)))
    assert (joined.writer.state, joined.reader.state) == (State.ENDED, State.ENDED)


@pytest.mark.parametrize("half", [WritingHalf(FIRST, is_metered=True), reading()])
def test_a_half_fails_once(half: WritingHalf | ReadingHalf):
    first, second = BrokenError("first"), BrokenError("second")
    assert half.fail(first)
    assert not half.fail(second)
    assert half.error is first


def test_who_listens_when_it_is_over_is_granted_nothing():
    half = ReadingHalf(is_metered=True)
    half.fail(ABORTED)
    half.listen()
    assert half.state in OVER
    half.receive(item(0))
    assert list(half.held) == []


def test_an_end_after_the_end_changes_nothing():
    half = reading()
    half.receive(end(0))
    assert half.state is State.ENDED
    half.receive(end(0))
    assert half.state is State.ENDED


def test_a_half_without_a_meter_is_never_due_a_grant():
    half = reading(is_metered=False)
    for number in range(WINDOW):
        half.receive(item(number))
        half.take()
    assert half.due() is None


def test_giving_up_drops_what_is_held_and_keeps_the_newest_error():
    half, first, second = reading(), BrokenError("first"), BrokenError("second")
    half.receive(item(0))
    half.give_up(first)
    assert (list(half.held), half.held_bytes, half.error) == ([], 0, first)
    half.give_up(second)
    assert half.error is second


def test_what_is_past_its_life_is_not_handed_over_and_is_counted():
    half = reading(is_metered=False)
    for sequence, born_at in enumerate((1.0, 1.2, 1.3)):
        chunk = item(sequence)
        chunk.born_at = born_at
        half.receive(chunk)
    half.drop_stale(1.15 + LIFETIME)
    assert (half.stale, half.dropped) == (1, 0)
    assert [half.take().sequence, half.take().sequence] == [1, 2]


def test_what_has_no_age_is_never_too_old():
    half = reading(is_metered=False)
    half.receive(item(0))
    half.drop_stale(1e9)
    assert half.take().sequence == 0


def test_a_half_whose_last_items_are_too_old_has_ended():
    half = reading(is_metered=False)
    chunk = item(0)
    chunk.born_at = 0.0
    half.receive(chunk)
    half.receive(end(1))
    assert half.state is State.HALF_CLOSED
    half.drop_stale(1.0)
    assert half.state is State.ENDED
    assert half.held_bytes == 0
