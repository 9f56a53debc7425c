"""Who is asked, and whether another is: never twice where a call may have run once too often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.choice import STEPS, Fate, Fit, Step, Tries, fit_of, rank
from actr_peer.protocol.signaling.presence import Presence

OWN = ActrId("acme", "caller", "1")
ROOMS = [ActrId("acme", "room", str(number)) for number in range(6)]
NEVER_RAN = {Fate.UNSENT, Fate.REFUSED}


def shown(number: int, *services: tuple[str, str]) -> Presence:
    return Presence(id=ROOMS[number], services=services)


def test_every_fate_of_every_method_has_a_step() -> None:
    assert set(STEPS) == {(fate, flag) for fate in Fate for flag in (False, True)}


@pytest.mark.parametrize("fate", Fate)
def test_what_may_have_run_is_tried_again_only_if_it_may_run_twice(fate: Fate) -> None:
    is_again = STEPS[fate, False] is Step.ANOTHER
    assert is_again == (fate in NEVER_RAN)
    is_again_twice = STEPS[fate, True] is Step.ANOTHER
    assert is_again_twice == (fate not in (Fate.BEGUN, Fate.ANSWERED))


@given(fates=st.lists(st.sampled_from(Fate), max_size=12), is_idempotent=st.booleans())
def test_whatever_happens_a_call_that_must_not_runs_at_one_actor_only(
    fates: list[Fate], is_idempotent: bool
) -> None:
    tries = Tries(OWN, is_idempotent=is_idempotent)
    may_have_run: list[ActrId] = []
    for number, fate in enumerate(fates):
        callee = ActrId("acme", "room", str(number))
        assert callee not in tries.left_out
        step = tries.ended(callee, fate)
        if step is Step.WAIT:  # the same try goes on: how it ends is the next fate
            step = tries.ended(callee, Fate.LOST)
            fate = Fate.LOST
        if fate not in NEVER_RAN:
            may_have_run.append(callee)
        assert callee in tries.left_out
        assert tries.may_have_run == bool(may_have_run)
        if step is not Step.ANOTHER:
            assert (step is Step.TELL) <= (fate is Fate.LOST and not is_idempotent)
            break
    if not is_idempotent:
        assert len(may_have_run) <= 1
    assert tries.count == len(tries.left_out) - 1


def test_after_one_that_cannot_have_run_another_is_asked_and_after_one_that_may_nobody() -> None:
    tries = Tries(OWN, is_idempotent=False)
    assert tries.ended(ROOMS[0], Fate.UNSENT) is Step.ANOTHER
    assert not tries.may_have_run
    assert tries.ended(ROOMS[1], Fate.LOST) is Step.TELL
    assert tries.may_have_run
    assert tries.left_out == {OWN, ROOMS[0], ROOMS[1]}
    assert tries.count == 2


def test_waiting_ends_no_try() -> None:
    tries = Tries(OWN, is_idempotent=False)
    assert tries.ended(ROOMS[0], Fate.SILENT) is Step.WAIT
    assert (tries.count, tries.left_out, tries.may_have_run) == (0, {OWN}, False)


@pytest.mark.parametrize(
    ("services", "fingerprint", "fit"),
    [
        ((("a.Room", "1"),), "1", Fit.SAME),
        ((("a.Other", "2"), ("a.Room", "1")), "2", Fit.OTHER),
        ((("a.Room", "1"),), "", Fit.SAME),
        ((("a.Other", "1"),), "1", Fit.NONE),
        ((), "", Fit.NONE),
    ],
    ids=["same", "another", "none of the own", "no such service", "no service"],
)
def test_a_contract_fits_by_the_fingerprint_of_the_service(
    services: tuple[tuple[str, str], ...], fingerprint: str, fit: Fit
) -> None:
    assert fit_of(shown(0, *services), "a.Room", fingerprint) is fit


def test_who_was_just_lost_comes_last_then_whose_contract_is_another() -> None:
    found = [
        shown(0, ("a.Room", "1")),
        shown(1),
        shown(2, ("a.Room", "2")),
        shown(3, ("a.Room", "1")),
        shown(4, ("a.Room", "1")),
    ]
    ranked = rank(
        found, service="a.Room", fingerprint="1", is_doubtful=lambda each: each == ROOMS[0]
    )
    assert [presence.id.name for presence in ranked] == ["room"] * 5
    assert [ROOMS.index(presence.id) for presence in ranked] == [3, 4, 2, 1, 0]
