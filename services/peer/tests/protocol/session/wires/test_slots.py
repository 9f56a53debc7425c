from __future__ import annotations

from itertools import count
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.wires.policy import WireState, WireView
from actr_peer.protocol.session.wires.slots import (
    FAR_SIDE_DIALS,
    FIRST_DELAY,
    IS_DIALLING,
    LARGER_WAITS,
    LAST_DELAY,
    MAX_TRIES,
    MAX_WIRES,
    SETTLED,
    Slot,
    SlotEvent,
    Slots,
    SlotState,
)

RTC, WS = WireKind.WEBRTC, WireKind.WEBSOCKET
NEITHER = 0.5
"""What the dice say where a wait is neither longer nor shorter."""

TABLE = """
.        DIAL     DIALLED FAILED  FAILED_LAST OPENED   LOST     LOST_LAST DEFERRED RENEWED MOVED CLOSE
IDLE     DIALLING .       .       .           OPEN     .        .         WAITING  .       .     CLOSED
WAITING  DIALLING .       .       .           OPEN     .        .         .        IDLE    IDLE  CLOSED
SPENT    .        .       .       .           OPEN     .        .         .        IDLE    IDLE  CLOSED
DIALLING .        IDLE    WAITING SPENT       DOUBLING .        .         .        .       .     CLOSED
OPEN     .        .       .       .           .        WAITING  SPENT     .        .       STALE CLOSED
STALE    DOUBLING .       .       .           .        WAITING  SPENT     .        .       .     CLOSED
DOUBLING .        OPEN    OPEN    OPEN        .        DIALLING DIALLING  .        .       .     CLOSED
CLOSED   .        .       .       .           .        .        .         .        .       .     CLOSED
"""  # noqa: E501


def rows() -> list[tuple[SlotState, SlotEvent, SlotState]]:
    (_, *events), *lines = (line.split() for line in TABLE.split("\n") if line)
    return [
        (SlotState[state], SlotEvent[event], SlotState[state if target == "." else target])
        for state, *targets in lines
        for event, target in zip(events, targets, strict=True)
    ]


def test_the_table_has_every_state_and_every_event() -> None:
    pairs = [(state, event) for state, event, _ in rows()]
    assert pairs == [(state, event) for state in SlotState for event in SlotEvent]


@pytest.mark.parametrize(("state", "event", "then"), rows())
def test_each_event_in_each_state(state: SlotState, event: SlotEvent, then: SlotState) -> None:
    slot = Slot(WS, can_dial=True, state=state)
    slot.on(event)
    assert slot.state is then


def both(*, is_smaller: bool = True) -> Slots:
    return Slots([RTC, WS], [RTC, WS], is_smaller=is_smaller)


def spend(slots: Slots, kind: WireKind) -> None:
    """Let dials of one kind come to nothing until it is left alone."""
    for _ in range(MAX_TRIES):
        slots.dials(inf)
        slots.failed(kind, 0.0, NEITHER)


def test_all_kinds_are_dialled_at_once_and_each_only_once() -> None:
    slots = both()
    assert slots.dials(0.0) == [RTC, WS]
    assert slots.dials(0.0) == []


def test_what_works_is_left_alone_while_the_other_is_mended() -> None:
    slots = both()
    slots.dials(0.0)
    slots.dialled(RTC)
    slots.opened(RTC, 1)
    slots.failed(WS, 0.0, NEITHER)
    assert slots.dials(0.0) == []
    assert slots.due() == FIRST_DELAY
    assert slots.dials(slots.due()) == [WS]


def test_the_wait_for_the_next_dial_doubles_and_is_spread_by_the_dice() -> None:
    slots = Slots([WS], [WS], is_smaller=True)
    waits = []
    for dice in (0.0, 1.0):
        slots.dials(inf)
        slots.failed(WS, 100.0, dice)
        waits.append(slots.due() - 100.0)
    assert waits == pytest.approx([0.8 * FIRST_DELAY, 1.2 * 2 * FIRST_DELAY])
    assert max(waits) <= LAST_DELAY


def test_the_link_is_given_up_when_every_kind_is_spent() -> None:
    slots = both()
    spend(slots, RTC)
    assert not slots.is_dead
    spend(slots, WS)
    assert slots.is_dead
    assert slots.due() == inf
    assert slots.dials(inf) == []


def test_a_kind_that_this_side_cannot_dial_is_only_accepted() -> None:
    slots = Slots([WS], [], is_smaller=True)
    assert slots.is_dead
    slots.opened(WS, 1)
    slots.greeted(WS, 1, 0.0)
    assert not slots.is_dead
    slots.gone(WS, 1, 2 * SETTLED, NEITHER)
    slots.refresh()
    slots.network_changed()
    assert slots.dials(inf) == []
    assert slots.is_dead


def test_a_wire_that_breaks_at_once_counts_as_a_dial_that_failed() -> None:
    slots = Slots([WS], [WS], is_smaller=True)
    for number in range(MAX_TRIES):
        slots.dials(inf)
        slots.dialled(WS)
        slots.opened(WS, number)
        slots.gone(WS, number, 0.0, NEITHER)
    assert slots.is_dead


@pytest.mark.parametrize(("is_smaller", "wait"), [(True, 0.0), (False, LARGER_WAITS)])
def test_of_two_sides_that_lose_a_wire_one_dials_first(is_smaller: bool, wait: float) -> None:
    slots = Slots([WS], [WS], is_smaller=is_smaller)
    slots.opened(WS, 1)
    slots.greeted(WS, 1, 0.0)
    slots.gone(WS, 1, SETTLED, NEITHER)
    assert slots.due() == SETTLED + wait


def test_a_side_that_was_dialled_leaves_the_other_a_moment() -> None:
    slots = both()
    slots.defer(10.0)
    slots.opened(WS, 1)
    assert slots.dials(10.0) == []
    assert slots.due() == 10.0 + FAR_SIDE_DIALS


def test_a_health_round_gives_new_tries_to_what_is_spent_and_to_nothing_else() -> None:
    slots = both()
    spend(slots, RTC)
    slots.failed(WS, 100.0, NEITHER)
    slots.refresh()
    assert slots.dials(100.0) == [RTC]
    assert slots.by_kind[WS].tries == 1


def test_a_kind_waits_for_nothing_while_one_of_its_wires_is_left() -> None:
    slots = Slots([WS], [WS], is_smaller=True)
    slots.opened(WS, 1)
    slots.opened(WS, 2)
    slots.gone(WS, 1, 0.0, NEITHER)
    assert slots.by_kind[WS].state is SlotState.OPEN
    assert slots.due() == inf


def test_a_kind_that_waits_is_dialled_at_once_when_the_network_changes() -> None:
    slots = both()
    slots.dials(0.0)
    slots.failed(WS, 0.0, NEITHER)
    assert slots.network_changed() == []
    assert slots.dials(0.0) == [WS]


def test_after_the_end_nothing_is_dialled_or_waited_for() -> None:
    slots = both()
    slots.opened(RTC, 1)
    slots.close()
    slots.gone(RTC, 1, 0.0, NEITHER)
    slots.refresh()
    slots.network_changed()
    assert slots.dials(inf) == []
    assert slots.due() == inf
    assert not slots.is_dead


def view(number: int, *, trusted: bool) -> WireView:
    return WireView(number, WS, WireState.READY, trusted)


def test_when_the_network_changes_a_new_wire_is_made_beside_the_old_and_then_takes_over() -> None:
    slots = Slots([WS], [WS], is_smaller=False)
    slots.opened(WS, 1)
    assert slots.network_changed() == [1]
    assert slots.dials(0.0) == [WS]
    slots.dialled(WS)
    slots.opened(WS, 2)
    assert slots.surplus([view(1, trusted=True), view(2, trusted=False)]) == []
    assert slots.surplus([view(1, trusted=True), view(2, trusted=True)]) == [1]
    assert slots.surplus([view(1, trusted=True), view(2, trusted=True)]) == []


def test_a_replacement_that_cannot_be_made_leaves_the_old_wire() -> None:
    slots = Slots([WS], [WS], is_smaller=False)
    slots.opened(WS, 1)
    slots.network_changed()
    slots.dials(0.0)
    slots.failed(WS, 0.0, NEITHER)
    assert slots.by_kind[WS].state is SlotState.OPEN
    assert slots.surplus([view(1, trusted=True), view(2, trusted=True)]) == []


def test_too_many_wires_of_a_kind_lose_those_without_an_answer_and_then_the_oldest() -> None:
    slots = both()
    for number in range(MAX_WIRES):
        assert slots.excess(WS) == []
        slots.opened(WS, number)
    for number in range(MAX_WIRES - 1):
        slots.greeted(WS, number, 0.0)
    assert slots.excess(WS) == [MAX_WIRES - 1]
    slots.greeted(WS, MAX_WIRES - 1, 0.0)
    assert slots.excess(WS) == [0]


class Link:
    """Slots, and what is known of them beside: dials under way, and open wires."""

    def __init__(self, can_dial: list[WireKind], *, is_smaller: bool) -> None:
        self.slots = Slots([RTC, WS], can_dial, is_smaller=is_smaller)
        self.can_dial = can_dial
        self.now = 0.0
        self.dials: set[WireKind] = set()
        self.wires: dict[WireKind, list[int]] = {RTC: [], WS: []}
        self.is_closed = False
        self.numbers = count()

    def do(self, deed: str, kind: WireKind, amount: float) -> None:
        slots, wires = self.slots, self.wires[kind]
        match deed:
            case "time":
                self.now += 10 * amount
            case "mend":
                self.mend()
            case "works" | "unfit" | "fails" if kind in self.dials:
                self.end_dial(deed, kind, amount)
            case "accept" if not self.is_closed:
                self.open(kind)
            case "greet" if wires:
                slots.greeted(kind, wires[-1], self.now)
            case "lose" if wires:
                slots.gone(kind, wires.pop(0), self.now, amount)
            case "round":
                self.round(amount)
            case "close" if amount > 0.8:
                slots.close()
                self.is_closed = True
                self.dials.clear()

    def end_dial(self, deed: str, kind: WireKind, dice: float) -> None:
        self.dials.discard(kind)
        if deed == "fails":
            self.slots.failed(kind, self.now, dice)
        else:
            self.slots.dialled(kind)
        if deed == "works" and not self.is_closed:
            self.open(kind)

    def round(self, dice: float) -> None:
        if dice < 0.3:
            self.slots.refresh()
        elif dice < 0.7:
            self.slots.network_changed()
        else:
            self.slots.defer(self.now)

    def open(self, kind: WireKind) -> None:
        self.wires[kind].append(next(self.numbers))
        self.slots.opened(kind, self.wires[kind][-1])

    def mend(self) -> None:
        before = {kind: (slot.state, slot.retry_at) for kind, slot in self.slots.by_kind.items()}
        for kind in self.slots.dials(self.now):
            assert not self.is_closed
            assert kind in self.can_dial
            assert kind not in self.dials, "two dials of one kind"
            state, retry_at = before[kind]
            assert state is not SlotState.WAITING or retry_at <= self.now, "too early"
            self.dials.add(kind)
        assert self.slots.due() > self.now

    def check(self) -> None:
        for kind, slot in self.slots.by_kind.items():
            if self.is_closed:
                assert slot.state is SlotState.CLOSED
                continue
            has_wires = slot.state in (SlotState.OPEN, SlotState.STALE, SlotState.DOUBLING)
            assert has_wires == bool(self.wires[kind])
            assert (slot.state in IS_DIALLING) == (kind in self.dials)
            if slot.state is SlotState.SPENT:
                assert slot.is_spent
        assert self.is_closed or (self.slots.is_dead == self.has_ended())

    def has_ended(self) -> bool:
        states = {slot.state for slot in self.slots.by_kind.values()}
        return not any(self.wires.values()) and not self.dials and states == {SlotState.SPENT}


DEEDS = [
    "time", "mend", "works", "unfit", "fails", "accept", "greet", "lose", "round", "close",
]  # fmt: skip


@given(
    can_dial=st.sampled_from([[RTC, WS], [WS], []]),
    is_smaller=st.booleans(),
    script=st.lists(
        st.tuples(st.sampled_from(DEEDS), st.sampled_from([RTC, WS]), st.floats(0, 1)), max_size=60
    ),
)
def test_no_kind_is_dialled_twice_too_early_or_after_the_end_and_none_is_forgotten(
    can_dial: list[WireKind], is_smaller: bool, script: list[tuple[str, WireKind, float]]
) -> None:
    link = Link(can_dial, is_smaller=is_smaller)
    for deed, kind, amount in script:
        link.do(deed, kind, amount)
        link.check()
    link.mend()
    waiting = {slot.kind for slot in link.slots.by_kind.values() if slot.state is SlotState.WAITING}
    if waiting:  # what waits is dialled when it is time, and not a moment before
        at = link.slots.due()
        link.now = at
        link.mend()
        assert link.dials & waiting


def test_of_two_wires_one_may_go_and_the_kind_is_still_there() -> None:
    slots = both()
    slots.opened(WS, 1)
    slots.opened(WS, 2)
    slots.gone(WS, 1, 0.0, NEITHER)
    assert (slots.by_kind[WS].state, slots.by_kind[WS].wires) == (SlotState.OPEN, {2})


def test_a_change_of_the_network_puts_wires_in_doubt_where_there_are_some() -> None:
    slots = both()
    slots.opened(WS, 1)
    assert slots.network_changed() == [1]
    assert slots.by_kind[RTC].replacing is None


def test_a_link_that_ended_dials_nothing_more() -> None:
    slots = both()
    slots.opened(WS, 1)
    slots.close()
    assert slots.is_closed
    assert slots.network_changed() == []
    assert {slot.state for slot in slots.by_kind.values()} == {SlotState.CLOSED}
