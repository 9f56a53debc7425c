from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.wire.lines import Lines


def test_some_come_at_once_and_then_one_in_a_second() -> None:
    lines = Lines(at_once=2, per_second=1)
    assert [lines.take(100) for _ in range(4)] == [0, 0, None, None]
    assert lines.take(101) == 2
    assert lines.take(101.5) is None
    assert [lines.take(1000) for _ in range(3)] == [1, 0, None]


@given(st.lists(st.floats(0, 1), max_size=300))
def test_each_is_told_or_counted_and_no_more_than_the_budget(gaps: list[float]) -> None:
    lines, now, told, counted = Lines(at_once=5, per_second=2), 0.0, 0, 0
    for gap in gaps:
        now += gap
        left_out = lines.take(now)
        if left_out is not None:
            told, counted = told + 1, counted + left_out
    assert told <= 5 + 2 * now + 1e-6
    rest = lines.take(now + 10)
    assert rest is not None
    assert told + counted + rest == len(gaps)
