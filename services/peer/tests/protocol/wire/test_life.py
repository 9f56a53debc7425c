"""A wire goes down one line, ends for one cause, and tells its end once, whoever carries it."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import BrokenError, LimitError, PeerError, RemoteProtocolError
from actr_peer.protocol.wire.close_codes import CloseCode
from actr_peer.protocol.wire.life import (
    CLEAN,
    WEBRTC,
    WEBSOCKET,
    Act,
    Event,
    Phase,
    Table,
    Verdict,
    WireLife,
)

TABLES = {"websocket": WEBSOCKET, "webrtc": WEBRTC}
EVERYTHING = [
    pytest.param(table, phase, event, id=f"{name}-{phase.name}-{event.name}")
    for (name, table), phase, event in product(TABLES.items(), Phase, Event)
]
ORDER = list(Phase)
ENDS = (Phase.CLOSING, Phase.CLOSED)
TOLD = {Act.TELL, Act.TELL_SOON}

# The next phase of each pair, by its first two letters; a dot changes nothing, a star does
# something and stays.
SHAPES = {
    "websocket": """
                CONNECTED OPENED CLOSE FAULT OVERDUE FAR_CLOSE LOST FREED ABORT
    CONNECTING  GR        .      CD    .     .       .         CD   .     CD
    GREETING    .         OP     CG    CG    CG      CD        CD   .     CD
    OPEN        .         .      CG    CG    .       CD        CD   .     CD
    CLOSING     .         .      .     .     *       CD        CD   .     CD
    CLOSED      *         .      .     .     *       .         .    .     *
    """,
    "webrtc": """
                CONNECTED OPENED CLOSE FAULT OVERDUE FAR_CLOSE LOST FREED ABORT
    CONNECTING  .         OP     CG    CD    CD      CD        CD   .     CD
    GREETING    .         .      .     .     .       .         .    .     .
    OPEN        .         .      CG    CD    .       CD        CD   .     CD
    CLOSING     .         .      .     .     .       .         .    CD    *
    CLOSED      .         .      .     .     .       .         .    .     .
    """,
}
LETTERS = {"GR": Phase.GREETING, "OP": Phase.OPEN, "CG": Phase.CLOSING, "CD": Phase.CLOSED}


def at(table: Table, phase: Phase) -> WireLife:
    life = WireLife(table)
    life.phase = phase
    return life


def shape(text: str) -> dict[tuple[Phase, Event], str]:
    head, *rows = [line.split() for line in text.strip().splitlines()]
    return {
        (Phase[row[0]], Event[event]): cell
        for row in rows
        for event, cell in zip(head, row[1:], strict=True)
    }


@pytest.mark.parametrize("name", TABLES)
def test_each_event_in_each_phase_leads_where_the_page_says(name: str) -> None:
    pairs = shape(SHAPES[name])
    assert set(pairs) == set(product(Phase, Event))
    for (phase, event), cell in pairs.items():
        life = at(TABLES[name], phase)
        acts = life.take(event)
        assert life.phase is LETTERS.get(cell, phase), (phase, event)
        assert bool(acts) is (cell != "."), (phase, event)


@pytest.mark.parametrize(("table", "phase", "event"), EVERYTHING)
def test_no_event_leads_back(table: Table, phase: Phase, event: Event) -> None:
    life = at(table, phase)
    life.take(event)
    assert ORDER.index(life.phase) >= ORDER.index(phase)


@pytest.mark.parametrize(("table", "phase", "event"), EVERYTHING)
def test_the_sink_is_told_exactly_where_a_wire_becomes_closed(
    table: Table, phase: Phase, event: Event
) -> None:
    life = at(table, phase)
    told = TOLD.intersection(life.take(event))
    assert len(told) == (life.phase is Phase.CLOSED and phase is not Phase.CLOSED)
    assert (Act.TELL_SOON in told) is (bool(told) and event is Event.ABORT)


@pytest.mark.parametrize(("table", "phase", "event"), EVERYTHING)
def test_the_first_cause_is_kept_and_no_other(table: Table, phase: Phase, event: Event) -> None:
    life = at(table, phase)
    verdict = Verdict(BrokenError("the cause"))
    life.take(event, verdict)
    is_first = life.phase in ENDS and phase not in ENDS
    assert life.verdict is (verdict if is_first else CLEAN)


@pytest.mark.parametrize(("phase", "event"), list(product(Phase, Event)))
def test_who_waits_for_a_websocket_hears_once_how_that_went(phase: Phase, event: Event) -> None:
    life = at(WEBSOCKET, phase)
    acts = life.take(event)
    was_awaited = phase in (Phase.CONNECTING, Phase.GREETING)
    has_failed = was_awaited and life.phase in ENDS and event is not Event.ABORT
    assert acts.count(Act.SETTLE) == has_failed
    assert acts.count(Act.ADMIT) == (was_awaited and life.phase is Phase.OPEN)
    assert acts.count(Act.SAY) == (phase is not Phase.CLOSING and life.phase is Phase.CLOSING)


@pytest.mark.parametrize(("phase", "event"), list(product(Phase, Event)))
def test_a_webrtc_connection_is_freed_once(phase: Phase, event: Event) -> None:
    life = at(WEBRTC, phase)
    acts = life.take(event)
    freed = acts.count(Act.FREE) + acts.count(Act.FLUSH)
    assert freed == (phase not in ENDS and life.phase in ENDS)
    assert (Act.FLUSH in acts) is (phase is Phase.OPEN and event is Event.CLOSE)


@pytest.mark.parametrize(
    ("error", "is_far_fault"),
    [
        (None, False),
        (BrokenError("x"), False),
        (RemoteProtocolError("x"), True),
        (LimitError("x", limit=1, asked=2), True),
    ],
)
def test_who_breaks_a_rule_is_not_listened_to(error: PeerError | None, is_far_fault: bool) -> None:
    assert Verdict(error).is_far_fault is is_far_fault


CAUSES = st.builds(
    Verdict,
    st.none() | st.builds(BrokenError, st.text(max_size=3)),
    st.sampled_from(CloseCode),
    st.text(max_size=3),
)


@given(
    st.sampled_from(sorted(TABLES)),
    st.lists(st.tuples(st.sampled_from(Event), CAUSES), max_size=20),
)
def test_in_any_order_of_events_the_end_is_told_once_and_last_with_the_first_cause(
    name: str, script: list[tuple[Event, Verdict]]
) -> None:
    life = WireLife(TABLES[name])
    told: list[PeerError | None] = []
    said: list[CloseCode] = []
    first: Verdict | None = None
    for event, verdict in [*script, (Event.ABORT, CLEAN), (Event.FREED, CLEAN)]:
        was_leaving = life.is_leaving
        acts = life.take(event, verdict)
        if life.is_leaving and not was_leaving:
            first = verdict
        for act in acts:
            if act in TOLD:
                told.append(life.verdict.error)
            elif act in (Act.SAY, Act.FREE, Act.FLUSH):
                said.append(life.verdict.code)
            else:
                assert act is not Act.ADMIT or not told
    assert first is not None
    assert told == [first.error]
    assert said in ([], [first.code])
    assert life.phase is Phase.CLOSED
    assert life.verdict is first
