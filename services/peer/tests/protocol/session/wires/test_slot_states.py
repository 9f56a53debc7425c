from __future__ import annotations

from actr_peer.protocol.session.wires.slot_states import (
    DIALS_NOW,
    IS_DIALLING,
    MOVES,
    SlotEvent,
    SlotState,
)


def test_a_closed_slot_stays_closed_and_none_dials_where_it_is_dialling() -> None:
    assert {target for (state, _), target in MOVES.items() if state is SlotState.CLOSED} == {
        SlotState.CLOSED
    }
    assert not DIALS_NOW & IS_DIALLING
    for state in IS_DIALLING:
        assert (state, SlotEvent.DIAL) not in MOVES
