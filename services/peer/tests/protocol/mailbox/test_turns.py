"""Whose turn it is: priorities, conflict keys, barriers."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.mailbox.turns import MAX_CONCURRENT, MAX_SIGNALS_IN_ROW, Turns


@dataclass(frozen=True, eq=False)
class Item:
    name: str
    conflict_key: str | None = None
    is_signal: bool = False


def take_all(turns: Turns[Item]) -> list[Item]:
    """Start all that may start now."""
    started = []
    while (item := turns.take()) is not None:
        started.append(item)
    return started


def names(items: list[Item]) -> list[str]:
    return [item.name for item in items]


def test_items_without_a_key_run_one_at_a_time_in_order() -> None:
    turns: Turns[Item] = Turns()
    a, b = Item("a"), Item("b")
    turns.add(a)
    turns.add(b)
    assert names(take_all(turns)) == ["a"]
    turns.finish(a)
    assert names(take_all(turns)) == ["b"]


def test_different_keys_run_side_by_side_up_to_eight() -> None:
    turns: Turns[Item] = Turns()
    items = [Item(str(n), str(n)) for n in range(10)]
    for item in items:
        turns.add(item)
    assert len(take_all(turns)) == MAX_CONCURRENT == turns.active
    turns.finish(items[3])
    assert names(take_all(turns)) == ["8"]


def test_one_key_runs_in_order_and_others_pass_it() -> None:
    turns: Turns[Item] = Turns()
    a1, a2, b1 = Item("a1", "a"), Item("a2", "a"), Item("b1", "b")
    for item in (a1, a2, b1):
        turns.add(item)
    assert names(take_all(turns)) == ["a1", "b1"]
    turns.finish(b1)
    assert take_all(turns) == []
    turns.finish(a1)
    assert names(take_all(turns)) == ["a2"]


def test_an_item_without_a_key_waits_for_those_before_and_holds_those_after() -> None:
    turns: Turns[Item] = Turns()
    a1, a2, alone, b1 = Item("a1", "a"), Item("a2", "a"), Item("alone"), Item("b1", "b")
    for item in (a1, a2, alone, b1):
        turns.add(item)
    assert names(take_all(turns)) == ["a1"]
    turns.finish(a1)
    assert names(take_all(turns)) == ["a2"]
    turns.finish(a2)
    assert names(take_all(turns)) == ["alone"]
    turns.finish(alone)
    assert names(take_all(turns)) == ["b1"]


def test_signal_goes_first_but_at_most_eight_in_a_row_while_a_normal_one_waits() -> None:
    turns: Turns[Item] = Turns()
    for n in range(10):
        turns.add(Item(f"n{n}"))
    for n in range(20):
        turns.add(Item(f"s{n}", is_signal=True))
    order = []
    while (item := turns.take()) is not None:
        order.append(item.name)
        turns.finish(item)
    assert order[: MAX_SIGNALS_IN_ROW + 1] == [f"s{n}" for n in range(8)] + ["n0"]
    assert order[9:18] == [f"s{n}" for n in range(8, 16)] + ["n1"]
    assert [name for name in order if name[0] == "n"] == [f"n{n}" for n in range(10)]


def test_an_item_that_waits_can_be_removed_wherever_it_is() -> None:
    turns: Turns[Item] = Turns()
    a1, a2, b1 = Item("a1", "a"), Item("a2", "a"), Item("b1", "b")
    turns.add(a1)
    turns.add(a2)
    assert names(take_all(turns)) == ["a1"]
    turns.add(b1)
    assert turns.remove(b1)
    assert turns.remove(a2)
    assert not turns.remove(a2)
    turns.finish(a1)
    assert take_all(turns) == []
    assert len(turns) == 0


def test_a_parked_item_removed_after_its_key_was_freed_leaves_no_trace() -> None:
    turns: Turns[Item] = Turns()
    a1, a2, alone = Item("a1", "a"), Item("a2", "a"), Item("alone")
    for item in (a1, a2, alone):
        turns.add(item)
    take_all(turns)
    turns.finish(a1)
    assert turns.remove(a2)
    assert names(take_all(turns)) == ["alone"]


def test_one_that_insists_runs_again_alone_and_keeps_its_key() -> None:
    turns: Turns[Item] = Turns()
    a1, a2, b1, c1 = Item("a1", "a"), Item("a2", "a"), Item("b1", "b"), Item("c1", "c")
    for item in (a1, a2, b1):
        turns.add(item)
    assert names(take_all(turns)) == ["a1", "b1"]
    turns.insist(a1)
    turns.add(c1)
    assert take_all(turns) == []
    turns.finish(b1)
    assert names(take_all(turns)) == ["a1"]
    turns.insist(a1)
    assert names(take_all(turns)) == ["a1"]
    turns.finish(a1)
    assert names(take_all(turns)) == ["a2", "c1"]


@given(
    items=st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.booleans()), max_size=40),
    data=st.data(),
)
def test_every_item_runs_once_and_no_rule_is_broken(
    items: list[tuple[str | None, bool]], data: st.DataObject
) -> None:
    turns: Turns[Item] = Turns(3)
    waiting = [Item(str(n), key, is_signal) for n, (key, is_signal) in enumerate(items)]
    todo = list(waiting)
    running: list[Item] = []
    started: list[Item] = []
    while todo or running or len(turns):
        # Every round adds or ends something: few draws, or a loaded machine is too slow for them.
        may_add: bool = bool(todo) and (not running or data.draw(st.booleans()))
        if may_add:
            turns.add(todo.pop(0))
        new = take_all(turns)
        started += new
        running += new
        keys = [item.conflict_key for item in running]
        assert len(running) <= 3
        assert None not in keys or len(running) == 1
        assert len(set(keys)) == len(keys)
        if running and not may_add:
            item = running.pop(data.draw(st.integers(0, len(running) - 1)))
            turns.finish(item)
    assert sorted(map(int, names(started))) == list(range(len(items)))
    for key in (None, "a", "b", "c"):
        for is_signal in (True, False):
            order = [
                int(item.name)
                for item in started
                if item.conflict_key == key and item.is_signal == is_signal
            ]
            assert order == sorted(order)


def test_signals_alone_run_in_their_order_however_many_they_are() -> None:
    turns: Turns[Item] = Turns(max_concurrent=20)
    items = [Item(f"s{n}", str(n), is_signal=True) for n in range(MAX_SIGNALS_IN_ROW + 2)]
    for item in items:
        turns.add(item)
    assert take_all(turns) == items


def test_one_that_insists_no_more_waits_for_nothing_and_holds_nobody_up() -> None:
    turns: Turns[Item] = Turns()
    a1, b1 = Item("a1", "a"), Item("b1", "b")
    turns.add(a1)
    assert turns.take() is a1
    turns.insist(a1)
    turns.relent(a1)
    turns.relent(a1)
    turns.finish(a1)
    turns.add(b1)
    assert take_all(turns) == [b1]
