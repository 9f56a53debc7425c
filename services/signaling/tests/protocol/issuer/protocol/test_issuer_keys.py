from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from actr_signaling.issuer.protocol.issuer_keys import (
    LEEWAY,
    TABLE,
    Event,
    IssuerKey,
    State,
    published,
    signers,
    would_leave_none,
)

NOW = 1000.0
OLD = IssuerKey(kid="old", public=b"o" * 32, created_at=0, use_from=0, signed_until=NOW + 900)
NEW = IssuerKey(kid="new", public=b"n" * 32, created_at=900, use_from=NOW + 60)
IN = {
    State.PUBLISHED: NEW,
    State.SIGNING: OLD,
    State.RETIRED: replace(OLD, retired_at=NOW),
    State.GONE: replace(OLD, withdrawn_at=NOW),
}


@pytest.mark.parametrize(("state", "event"), [*product(State, Event)])
def test_every_event_in_every_state_is_a_row(state: State, event: Event) -> None:
    key = IN[state]
    assert key.state(NOW) is state
    after = (
        replace(key, retired_at=NOW) if event is Event.RETIRE else replace(key, withdrawn_at=NOW)
    )
    assert after.state(NOW) in TABLE[state, event]


def test_a_new_key_is_published_first_and_signs_after() -> None:
    keys = [OLD, NEW]
    assert [key.kid for key in published(keys, NOW)] == ["old", "new"]
    assert [key.kid for key in signers(keys, NOW)] == ["old"]
    assert [key.kid for key in signers(keys, NOW + 60)] == ["new", "old"]


def test_a_retired_key_is_published_until_its_last_certificate_is_over_for_everybody() -> None:
    retired = replace(OLD, retired_at=NOW)
    end = OLD.signed_until + LEEWAY
    assert signers([retired], NOW) == []
    assert published([retired], end - 1) == [retired]
    assert published([retired], end) == []


def test_a_key_that_has_signed_nothing_is_gone_when_it_is_retired() -> None:
    assert replace(NEW, retired_at=NOW).state(NOW) is State.GONE


def test_a_stolen_key_is_gone_at_once() -> None:
    assert published([replace(OLD, withdrawn_at=NOW)], NOW) == []


def test_the_last_key_that_signs_is_known() -> None:
    assert would_leave_none([OLD, NEW], "old", NOW)
    assert not would_leave_none([OLD, NEW], "new", NOW)
    assert not would_leave_none([OLD, NEW], "old", NOW + 60)
