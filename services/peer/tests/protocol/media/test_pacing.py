from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.media.pacing import (
    BURST_BYTES,
    MAX_REPEATS,
    MIN_RATE,
    OVERDRAFT_BYTES,
    SLOWER_INTERVAL,
    Budget,
    Queue,
    deadline,
)


def test_a_burst_goes_at_once_and_little_more() -> None:
    budget = Budget(1_000_000, now=0)
    budget.charge(BURST_BYTES)
    assert not budget.is_overdrawn
    assert budget.wait(now=0) == 0
    budget.charge(OVERDRAFT_BYTES)
    assert budget.is_overdrawn
    assert budget.wait(now=0) == pytest.approx(OVERDRAFT_BYTES / 1e6)


@given(st.lists(st.tuples(st.integers(1, 1500), st.floats(0, 0.1)), max_size=300))
def test_no_more_leaves_than_the_rate_allows(steps: list[tuple[int, float]]) -> None:
    budget, now, left = Budget(1_000_000, now=0.0), 0.0, 0
    for size, idle in steps:
        now += idle + budget.wait(now=now + idle)
        budget.charge(size)
        left += size
    assert left <= BURST_BYTES + 1500 + now * 1_000_000 * 1.001


def test_loss_makes_it_slower_once_in_a_while_and_down_to_a_bound() -> None:
    budget = Budget(10_000_000, now=0)
    budget.lost(now=1)
    budget.lost(now=1 + SLOWER_INTERVAL / 2)
    assert budget.rate == pytest.approx(7_000_000)
    for second in range(2, 100):
        budget.lost(now=second)
    assert budget.rate == MIN_RATE


def test_the_rate_grows_back_to_what_it_was_and_no_further() -> None:
    budget = Budget(2_000_000, now=0)
    budget.lost(now=1)
    for second in range(2, 6):
        budget.wait(now=second)
    assert budget.rate == 2_000_000


def test_losses_do_not_make_it_slower_than_what_was_seen_to_arrive() -> None:
    budget = Budget(10_000_000, now=0)
    budget.estimated(3_000_000)
    for second in range(1, 100):
        budget.lost(now=second)
    assert budget.rate == 3_000_000
    budget.estimated(5_000_000)
    assert budget.rate == 5_000_000
    budget.estimated(1e12)
    assert budget.rate == 10_000_000


def test_a_clock_that_stands_still_or_jumps_gives_no_more_than_a_burst() -> None:
    budget = Budget(1_000_000, now=10)
    budget.charge(BURST_BYTES + 1_000_000)
    assert budget.wait(now=9) == pytest.approx(1.0)
    budget.wait(now=10_000)
    budget.charge(BURST_BYTES + OVERDRAFT_BYTES)
    assert budget.is_overdrawn


def test_what_is_sent_again_leaves_in_the_order_asked_and_once() -> None:
    queue: Queue[str, int] = Queue()
    for packet in (3, 1, 3, 2):
        queue.repeat(packet)
    assert [queue.next_repeat() for _ in range(4)] == [3, 1, 2, None]


def test_no_more_than_a_bound_waits_to_be_sent_again() -> None:
    queue: Queue[str, int] = Queue()
    for packet in range(MAX_REPEATS + 5):
        queue.repeat(packet)
    queue.repeat(0)
    assert len(queue) == MAX_REPEATS
    assert queue.refused == 5


def test_frames_go_by_their_deadlines_and_then_as_they_came() -> None:
    queue: Queue[str, int] = Queue()
    for at, frame in ((2.0, "late"), (1.0, "first"), (1.0, "second")):
        queue.push(at, frame)
    assert [queue.pop() for _ in range(4)] == ["first", "second", "late", None]


def test_a_small_frame_passes_a_large_one_for_a_bounded_time() -> None:
    large = deadline(1_000_000, 1e6, now=0.0)
    assert deadline(1_000, 1e6, now=0.5) < large
    assert deadline(1_000, 1e6, now=1.0) > large
