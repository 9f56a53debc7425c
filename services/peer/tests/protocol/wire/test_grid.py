from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.wire.grid import GRID, on_grid


@given(st.floats(0.0, 1e9))
def test_an_instant_of_the_grid_is_shared_and_never_late(at: float) -> None:
    shared = on_grid(at)
    assert at - GRID < shared <= at
    assert on_grid(shared) == shared
    assert (shared * 1000).is_integer()  # which a loop's timers keep exactly
