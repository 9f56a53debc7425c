"""Who of those that wait goes next: two lines by turns, a quantum for each, room that is kept."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.streams.fair_queue import COST, QUANTUM, FairQueue, Quantum, Waiter

WINDOW, FRAMES = 100_000, 64
ITEM = 100
SEVERAL = -(-QUANTUM // (ITEM + COST))
"""Items of 100 bytes that one turn has."""


def waiter(who: str, quantum: Quantum | None, size: int = ITEM) -> Waiter[str]:
    return Waiter(who, size, 1, quantum)


def used_up() -> Quantum:
    quantum = Quantum()
    quantum.spend(QUANTUM)
    return quantum


def called(queue: FairQueue[str], free_frames: int = 10_000) -> str | None:
    """Who is called next, and has gone."""
    found = queue.call(10**9, free_frames, is_empty=False)
    if found is None:
        return None
    queue.leave(found)
    return found.who


def test_who_has_no_share_goes_in_the_order_of_coming() -> None:
    queue: FairQueue[str] = FairQueue()
    for who in "abc":
        queue.join(waiter(who, None))
    assert [called(queue) for _ in range(4)] == ["a", "b", "c", None]


def test_who_has_waited_in_the_long_line_has_a_new_share() -> None:
    queue: FairQueue[str] = FairQueue()
    quantum = used_up()
    queue.join(waiter("a", quantum))
    assert called(queue) == "a"
    assert quantum.left == QUANTUM


def test_who_has_some_of_its_share_left_waits_in_a_line_of_its_own_and_keeps_the_rest() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(100):
        queue.join(waiter(f"greedy {number}", used_up()))
    seldom = Quantum()
    seldom.spend(ITEM)
    left = seldom.left
    queue.join(waiter("seldom", seldom))
    assert "seldom" in [called(queue), called(queue)]
    assert seldom.left == left


def test_the_two_lines_are_served_by_turns() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(3):
        queue.join(waiter(f"long {number}", used_up()))
    for number in range(3):
        queue.join(waiter(f"short {number}", Quantum()))
    order = [called(queue) for _ in range(6)]
    assert order == ["short 0", "long 0", "short 1", "long 1", "short 2", "long 2"]


def test_room_is_kept_for_all_that_one_who_was_called_may_send_in_its_turn() -> None:
    queue: FairQueue[str] = FairQueue()
    for who in "abc":
        queue.join(waiter(who, used_up()))
    first = queue.call(WINDOW, 2 * SEVERAL, is_empty=False)
    second = queue.call(WINDOW, 2 * SEVERAL, is_empty=False)
    assert first is not None
    assert second is not None
    assert queue.call(WINDOW, 2 * SEVERAL, is_empty=False) is None
    assert queue.frames_kept == 2 * SEVERAL
    assert queue.bytes_kept == 2 * SEVERAL * ITEM
    queue.leave(first)
    assert queue.call(WINDOW, 2 * SEVERAL, is_empty=False) is not None


def test_a_message_for_which_there_is_never_room_goes_where_nothing_else_is() -> None:
    queue: FairQueue[str] = FairQueue()
    for who in "ab":
        queue.join(waiter(who, Quantum(), size=2 * WINDOW))
    assert queue.call(WINDOW, FRAMES, is_empty=False) is None
    first = queue.call(WINDOW, FRAMES, is_empty=True)
    assert first is not None
    assert first.who == "a"
    assert queue.call(WINDOW, FRAMES, is_empty=True) is None, "the first has not run yet"


@pytest.mark.parametrize("is_called", [False, True])
@pytest.mark.parametrize("quantum", [None, "some", "none"])
def test_who_leaves_leaves_nothing_behind(*, is_called: bool, quantum: str | None) -> None:
    queue: FairQueue[str] = FairQueue()
    quanta = {None: None, "some": Quantum(), "none": used_up()}
    one = waiter("a", quanta[quantum])
    queue.join(one)
    if is_called:
        assert queue.call(WINDOW, FRAMES, is_empty=False) is one
    queue.leave(one)
    assert (queue.count, queue.bytes_kept, queue.frames_kept) == (0, 0, 0)
    assert queue.waiting() == []
    assert queue.call(WINDOW, FRAMES, is_empty=False) is None


def test_past_those_who_wait_goes_who_has_some_of_its_share_beside_the_room_that_is_kept() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.join(waiter("a", used_up()))
    assert queue.call(WINDOW, FRAMES, is_empty=False) is not None
    left = FRAMES - SEVERAL
    assert queue.may_pass(Quantum(), ITEM, left, WINDOW, FRAMES)
    assert not queue.may_pass(Quantum(), ITEM, left + 1, WINDOW, FRAMES)
    assert not queue.may_pass(Quantum(), WINDOW - SEVERAL * ITEM + 1, 1, WINDOW, FRAMES)
    assert not queue.may_pass(used_up(), ITEM, 1, WINDOW, FRAMES)


def test_all_who_wait_are_named_and_nobody_who_was_called() -> None:
    queue: FairQueue[str] = FairQueue()
    for who, quantum in (("a", None), ("b", Quantum()), ("c", used_up())):
        queue.join(waiter(who, quantum))
    assert queue.call(WINDOW, FRAMES, is_empty=False) is not None
    assert queue.waiting() == ["a", "c"]


@given(
    writers=st.integers(2, 12),
    sizes=st.lists(st.integers(0, 3000), min_size=12, max_size=12),
    room=st.integers(1, 40),
    leaves=st.lists(st.booleans(), max_size=200),
)
def test_all_who_always_send_have_the_same_part_and_what_is_kept_is_given_back(
    writers: int, sizes: list[int], room: int, leaves: list[bool]
) -> None:
    """Each sends while it may, and waits again; the window is empty whenever somebody is called."""
    queue: FairQueue[int] = FairQueue()
    quanta = [Quantum() for _ in range(writers)]
    passes: Counter[int] = Counter()

    def join(who: int) -> None:
        queue.join(Waiter(who, sizes[who], 1, quanta[who]))

    for who in range(writers):
        join(who)
    for gives_up in [*leaves, *[False] * (writers * 4)]:
        one = queue.call(room * 3400, room, is_empty=True)
        assert one is not None, "an empty window has room for the first"
        who, quantum = one.who, quanta[one.who]
        queue.leave(one)
        assert (queue.bytes_kept, queue.frames_kept) == (0, 0)
        if not gives_up:
            passes[who] += 1
            free = room - 1
            quantum.spend(one.size)
            while queue.may_pass(quantum, one.size, 1, room * 3400, free):
                quantum.spend(one.size)
                free -= 1
        join(who)
        assert queue.count == writers
    assert len(passes) == writers, "nobody waits for ever"


@given(st.lists(st.integers(1, 5), min_size=1, max_size=40))
def test_the_longest_line_is_behind_each_other_line_by_one_at_most(later: list[int]) -> None:
    """Those who come with something left, as many as may be, hold nobody up for long."""
    queue: FairQueue[str] = FairQueue()
    queue.join(waiter("patient", used_up()))
    for number, arrivals in enumerate(later):
        for each in range(arrivals):
            queue.join(waiter(f"{number}.{each}", Quantum()))
        if "patient" in (called(queue), called(queue)):
            return
    pytest.fail("never called")
