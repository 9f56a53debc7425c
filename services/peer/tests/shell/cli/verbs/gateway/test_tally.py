"""Calls that run are bounded, and how they end is counted."""

from __future__ import annotations

import pytest

from actr_peer.cli.verbs.gateway.tally import Tally
from actr_peer.errors import CallError, Code


def test_a_call_too_many_is_refused_until_another_has_ended() -> None:
    tally = Tally(1)
    with tally.one():
        with pytest.raises(CallError) as caught, tally.one():
            pass
        assert caught.value.code is Code.RESOURCE_EXHAUSTED
        assert caught.value.retry_after == 1.0
        assert tally.document["running"] == 1
    with tally.one():
        assert tally.running == 1


def test_the_place_of_a_call_that_fails_is_free_again() -> None:
    tally = Tally(1)
    with pytest.raises(ValueError, match="broken"), tally.one():
        raise ValueError("broken")
    assert tally.running == 0


def test_one_caller_has_half_and_what_is_nobodys_has_all() -> None:
    tally = Tally(4)
    with tally.one("web"), tally.one("web"):
        with pytest.raises(CallError), tally.one("web"):
            pass
        with tally.one("ops"), tally.one(""), pytest.raises(CallError), tally.one(""):
            pass
    with tally.one("web"), tally.one("web"):
        assert tally.running == 2


def test_ends_are_counted_by_connects_words() -> None:
    tally = Tally(1)
    for code in (None, None, Code.CANCELLED):
        tally.note(code)
    assert tally.document == {"running": 0, "ended": {"ok": 2, "canceled": 1}}
