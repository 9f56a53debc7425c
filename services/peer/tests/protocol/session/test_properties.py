"""Sessions over wires that fail in every way: what was accepted, what arrived."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actr_peer.errors import PeerError
from actr_peer.protocol.session.session import Session
from peer_kit.session.faults import FAULTS
from peer_kit.session.sim import Action, BreachError, play, some_actions

ACTIONS = st.lists(
    st.builds(
        Action,
        st.sampled_from(
            ["send"] * 8 + ["flood"] + ["open"] * 3 + ["kill"] * 2 + ["vary"] * 2 + ["restart"]
        ),
        st.integers(0, 1),
        st.integers(0, 999),
        st.sampled_from((0.0, 0.0, 0.005, 0.03, 0.3, 1.0)),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS, st.integers(0, 2**32))
def test_nothing_is_lost_doubled_or_reordered_whatever_wires_do(
    actions: list[Action], seed: int
) -> None:
    play(actions, seed)


def test_the_harness_sees_repeats_hold_back_and_restarts() -> None:
    worlds = [play(some_actions(seed), seed) for seed in range(12)]
    lanes = [host.session.lanes for world in worlds for host in world.hosts]
    assert sum(sender.resent for lane in lanes for sender in lane.senders) > 100
    assert sum(receiver.duplicates for lane in lanes for receiver in lane.receivers) > 100
    assert sum(host.incarnation for world in worlds for host in world.hosts) > 30


@pytest.mark.parametrize("faulty", FAULTS)
def test_a_deliberate_fault_is_found(faulty: type[Session]) -> None:
    with pytest.raises((BreachError, PeerError, KeyError)):
        deque((play(some_actions(seed), seed, faulty) for seed in range(60)), maxlen=0)
