"""Two actors whose mailboxes are full, over wires that fail in every way: they go on."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer_kit.actors import Plan, play_actors
from peer_kit.session.sim import Action, BreachError

WIRES = st.lists(
    st.builds(
        Action,
        st.sampled_from(["vary", "vary", "open", "kill"]),
        st.integers(0, 1),
        st.integers(0, 999),
        st.sampled_from((0.0, 0.03, 0.3, 1.0)),
    ),
    max_size=20,
)


@settings(max_examples=8, deadline=None)
@given(WIRES, st.integers(0, 2**32), st.sampled_from((30, 30_000)))
def test_handlers_that_call_back_go_on_though_both_windows_are_full(
    actions: list[Action], seed: int, size: int
) -> None:
    tells = 1400 if size < 1000 else 250
    world = play_actors(Plan(tells=tells, size=size), seed, actions)
    assert [actor.timed_out for actor in world.actors] == [0, 0]


@settings(max_examples=4, deadline=None)
@given(WIRES, st.integers(0, 2**32))
def test_handlers_that_wait_for_each_other_go_on_at_their_deadlines(
    actions: list[Action], seed: int
) -> None:
    plan = Plan(tells=300, calls=0, size=20_000, callers=(0, 1), deadline=0.2)
    play_actors(plan, seed, actions)


def test_the_harness_finds_replies_that_wait_behind_requests() -> None:
    with pytest.raises(BreachError):
        play_actors(Plan(are_replies_apart=False), seed=1)
