from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.wire.grid import (
    FINE_A_SECOND,
    GRID,
    near_fine_grid,
    on_fine_grid,
    on_grid,
)


@given(st.floats(0.0, 1e9))
def test_an_instant_of_the_grid_is_shared_and_never_late(at: float) -> None:
    shared = on_grid(at)
    assert at - GRID < shared <= at
    assert on_grid(shared) == shared
    assert (shared * 1000).is_integer()  # which a loop's timers keep exactly


@given(st.floats(0.0, 1e6))
def test_the_finer_grid_is_kept_by_timers_too(at: float) -> None:
    before, near = on_fine_grid(at), near_fine_grid(at)
    assert at - 1 / FINE_A_SECOND - 1e-9 < before <= at + 1e-9
    assert abs(near - at) <= 0.5 / FINE_A_SECOND + 1e-9
    for shared in (before, near):
        assert shared == round(shared * 1000) / 1000
        assert near_fine_grid(shared) == shared
