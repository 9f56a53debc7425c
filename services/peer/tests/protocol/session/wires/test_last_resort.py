from __future__ import annotations

from math import inf

import pytest

from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.wires.last_resort import PATIENCE, LastResort, unneeded
from actr_peer.protocol.session.wires.policy import WireState, WireView
from actr_peer.protocol.session.wires.slots import MAX_TRIES, Slots

RTC, WS, RELAYED = WireKind.WEBRTC, WireKind.WEBSOCKET, WireKind.RELAYED


def slots(*, is_smaller: bool = True) -> Slots:
    return Slots([RTC, WS, RELAYED], [RTC, WS, RELAYED], is_smaller=is_smaller)


def test_it_waits_while_another_wire_may_yet_come() -> None:
    made = slots()
    assert made.dials(0.0) == [RTC, WS]
    assert made.due() == PATIENCE
    assert made.dials(PATIENCE - 0.01) == []
    assert made.dials(PATIENCE) == [RELAYED]
    assert not made.is_dead


def test_it_is_dialled_at_once_when_the_others_have_failed() -> None:
    made = slots()
    made.dials(0.0)
    made.failed(RTC, 0.1, 0.5)
    assert made.dials(0.1) == []
    made.failed(WS, 0.2, 0.5)
    assert made.dials(0.2) == [RELAYED]


def test_it_is_not_dialled_while_another_wire_is_there_and_then_waits_anew() -> None:
    made = slots()
    made.dials(0.0)
    made.failed(WS, 0.1, 0.5)
    made.opened(RTC, 1)
    made.dialled(RTC)
    made.greeted(RTC, 1, 0.2)
    assert made.dials(100.0) == [WS]
    made.failed(WS, 100.0, 0.5)
    assert RELAYED not in made.dials(100.5)
    made.gone(RTC, 1, 200.0, 0.5)
    assert made.dials(200.0) == [RTC, WS]
    assert made.due() == 200.0 + PATIENCE


@pytest.mark.parametrize("is_smaller", [True, False])
def test_a_link_that_loses_its_wires_has_the_same_patience(is_smaller: bool) -> None:
    made = slots(is_smaller=is_smaller)
    made.dials(0.0)
    for number, kind in enumerate((RTC, WS)):
        made.failed(kind, 1.0, 0.5)  # which is forgotten when one has come
        made.opened(kind, number)
        made.greeted(kind, number, 10.0)
    assert made.dials(50.0) == []
    for number, kind in enumerate((RTC, WS)):
        made.gone(kind, number, 100.0, 0.5)
    assert made.dials(100.0) == ([RTC, WS] if is_smaller else [])
    assert made.dials(100.1) == ([] if is_smaller else [RTC, WS])
    assert made.dials(100.0 + PATIENCE) == [RELAYED]


def test_a_wire_that_breaks_as_soon_as_it_is_made_gives_no_hope() -> None:
    made = slots()
    made.dials(0.0)
    for number, kind in enumerate((RTC, WS)):
        made.opened(kind, number)
        made.dialled(kind)
        made.greeted(kind, number, 1.0)
        made.gone(kind, number, 2.0, 0.5)
    assert made.dials(2.0) == [RELAYED]


def test_of_a_link_that_loses_its_wires_it_is_dialled_when_each_has_failed() -> None:
    made = slots(is_smaller=False)
    made.dials(0.0)
    for number, kind in enumerate((RTC, WS)):
        made.opened(kind, number)
        made.dialled(kind)
        made.greeted(kind, number, 1.0)
    assert made.dials(50.0) == []
    for number, kind in enumerate((RTC, WS)):
        made.gone(kind, number, 100.0, 0.5)
    assert made.dials(100.0) == []
    assert made.dials(100.1) == [RTC, WS]
    made.failed(RTC, 100.2, 0.5)
    assert made.dials(100.2) == []
    made.failed(WS, 100.3, 0.5)
    assert made.dials(100.3) == [RELAYED]


def test_a_far_side_that_has_begun_to_dial_is_hoped_for() -> None:
    made = slots()
    made.defer(0.0)
    assert made.dials(0.0) == []
    assert made.dials(1.0) == [RTC, WS]
    assert made.dials(PATIENCE) == [RELAYED]


def test_what_would_fail_again_is_not_tried_again() -> None:
    made = slots()
    made.dials(0.0)
    made.dials(PATIENCE)
    made.failed(RELAYED, PATIENCE, 0.5, is_for_good=True)
    assert made.by_kind[RELAYED].tries == MAX_TRIES
    for kind in (RTC, WS):
        made.failed(kind, 3.0, 0.5)
        assert not made.is_dead
    for now in (100.0, 200.0):
        assert made.dials(now) == [RTC, WS]
        for kind in (RTC, WS):
            made.failed(kind, now, 0.5)
    assert made.is_dead


def test_other_kinds_are_dialled_as_without_it() -> None:
    made = Slots([RTC, WS], [RTC, WS], is_smaller=True)
    assert made.dials(0.0) == [RTC, WS]
    assert made.due() == inf


def test_it_looks_at_how_things_stand() -> None:
    resort = LastResort()
    assert resort.due == inf
    resort.look(1.0, is_needed=True, is_hoped_for=True)
    assert resort.due == 1.0 + PATIENCE
    resort.look(2.0, is_needed=True, is_hoped_for=True)
    assert resort.due == 1.0 + PATIENCE
    resort.look(2.5, is_needed=True, is_hoped_for=False)
    assert resort.due == 1.0
    resort.look(3.0, is_needed=False, is_hoped_for=True)
    assert resort.due == inf


GOOD = WireView(1, RTC, WireState.READY, is_trusted=True)
ON_IT = WireView(2, RELAYED, WireState.READY, is_trusted=True)


@pytest.mark.parametrize(
    ("better", "decides", "found"),
    [
        (GOOD, True, [2]),
        (GOOD, False, []),
        (WireView(1, RTC, WireState.READY), True, []),
        (WireView(1, RTC, WireState.SUSPECT, is_trusted=True), True, []),
        (WireView(1, RELAYED, WireState.READY, is_trusted=True), True, []),
    ],
)
def test_it_is_closed_once_a_better_one_has_proved_itself(
    better: WireView, decides: bool, found: list[int]
) -> None:
    assert unneeded([better, ON_IT], decides=decides) == found


def test_the_slots_say_so_too() -> None:
    made = slots()
    made.opened(RTC, 1)
    made.opened(RELAYED, 2)
    assert made.surplus([GOOD, ON_IT]) == [2]
