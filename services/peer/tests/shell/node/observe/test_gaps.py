"""How long a link was without a wire that works."""

from __future__ import annotations

import pytest

from actr_peer.node.observe.gaps import Gaps
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.wires.policy import WireState

ANN, BEN = ActrId("acme", "ann", "1"), ActrId("acme", "ben", "1")
RTC, WS = WireKind.WEBRTC, WireKind.WEBSOCKET
READY, SUSPECT, FAILED = WireState.READY, WireState.SUSPECT, WireState.FAILED


@pytest.fixture
def gaps() -> Gaps:
    return Gaps()


@pytest.mark.parametrize("lost", [SUSPECT, FAILED, WireState.IDLE, WireState.CONNECTING])
def test_a_gap_is_from_the_loss_of_the_last_wire_to_the_next(gaps: Gaps, lost: WireState) -> None:
    gaps.note(ANN, WS, READY, 1.0)
    gaps.note(ANN, WS, lost, 2.0)
    assert len(gaps) == 1
    gaps.note(ANN, RTC, READY, 2.5)
    assert (len(gaps), gaps.durations.view().count, gaps.durations.view().seconds) == (0, 1, 0.5)


def test_while_another_wire_works_there_is_none(gaps: Gaps) -> None:
    gaps.note(ANN, WS, READY, 1.0)
    gaps.note(ANN, RTC, READY, 1.0)
    gaps.note(ANN, WS, FAILED, 2.0)
    gaps.note(ANN, WS, READY, 3.0)
    assert (len(gaps), gaps.durations.view().count) == (0, 0)


def test_before_the_first_wire_there_is_none(gaps: Gaps) -> None:
    gaps.note(ANN, WS, WireState.CONNECTING, 1.0)
    gaps.note(ANN, WS, FAILED, 2.0)
    gaps.note(ANN, WS, READY, 3.0)
    assert (len(gaps), gaps.durations.view().count) == (0, 0)


def test_what_was_suspect_and_then_fails_is_one_gap(gaps: Gaps) -> None:
    gaps.note(ANN, WS, READY, 1.0)
    gaps.note(ANN, WS, SUSPECT, 2.0)
    gaps.note(ANN, WS, FAILED, 9.0)
    gaps.note(ANN, WS, READY, 10.0)
    assert (gaps.durations.view().count, gaps.durations.view().seconds) == (1, 8.0)


def test_each_link_has_its_own(gaps: Gaps) -> None:
    for who in (ANN, BEN):
        gaps.note(who, WS, READY, 1.0)
        gaps.note(who, WS, FAILED, 2.0)
    gaps.note(ANN, WS, READY, 3.0)
    assert (len(gaps), gaps.durations.view().count) == (1, 1)


def test_a_link_that_is_gone_is_in_no_gap(gaps: Gaps) -> None:
    gaps.note(ANN, WS, READY, 1.0)
    gaps.note(ANN, WS, FAILED, 2.0)
    gaps.gone(ANN)
    gaps.gone(BEN)
    assert len(gaps) == 0
    gaps.note(ANN, WS, READY, 9.0)
    assert gaps.durations.view().count == 0
