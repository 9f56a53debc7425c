"""What a call inherits of the handler that makes it."""

from __future__ import annotations

import pytest

from actr_peer.rpc.destinations.scope import ROOT, Scope


@pytest.mark.parametrize(
    ("asked", "default", "left", "given"),
    [
        (None, None, None, None),
        (None, 30.0, None, 30.0),
        (5.0, 30.0, None, 5.0),
        (None, None, 3.0, 3.0),
        (None, 30.0, 3.0, 3.0),
        (60.0, 30.0, 3.0, 3.0),
        (1.0, 30.0, 3.0, 1.0),
        (60.0, None, 0.0, 0.0),
    ],
)
def test_a_call_has_no_more_time_than_its_handler(
    asked: float | None, default: float | None, left: float | None, given: float | None
) -> None:
    assert Scope(remaining=lambda: left).within(asked, default) == given


def test_a_call_of_the_shell_has_what_it_asks_for() -> None:
    assert ROOT.within(None, None) is None
    assert ROOT.within(7.0, 30.0) == 7.0
