from __future__ import annotations

from actr_signaling.protocol.relay import wires
from actr_signaling.protocol.relay.wires import (
    FRAME_COST,
    PER_ACTOR,
    PER_ADDRESS,
    Pace,
    Refused,
    Wire,
    Wires,
    read_ticket,
)

TICKET = "0" * 32
OTHER = "1" * 32


def joined(table: Wires, ticket: str = TICKET) -> Wire:
    assert table.open(ticket, "a", 0.0) is None
    for end in ("dialler", "listener"):
        wire = table.join(ticket, end)
        assert isinstance(wire, Wire)
    return wire


def test_two_that_show_one_ticket_are_joined_and_a_third_is_turned_away() -> None:
    table = Wires(8)
    wire = joined(table)
    assert wire.is_joined
    assert wire.other("dialler") == "listener"
    assert wire.other("listener") == "dialler"
    assert table.join(TICKET, "third") is Refused.TAKEN
    assert (len(table), table.opened) == (1, 1)


def test_who_waits_has_nobody_yet() -> None:
    table = Wires(8)
    table.open(TICKET, "a", 0.0)
    wire = table.join(TICKET, "dialler")
    assert isinstance(wire, Wire)
    assert wire.other("dialler") is None
    assert table.opened == 0


def test_a_ticket_that_nobody_has_asked_for_or_that_is_asked_for_twice_is_refused() -> None:
    table = Wires(8)
    assert table.join(TICKET, "stranger") is Refused.UNKNOWN
    assert table.open(TICKET, "a", 0.0) is None
    assert table.open(TICKET, "b", 0.0) is Refused.TAKEN
    assert table.refused == {Refused.UNKNOWN: 1, Refused.TAKEN: 1}


def test_what_is_shown_is_a_ticket_or_nothing() -> None:
    assert read_ticket(b"0af1" * 8) == "0af1" * 8
    for strange in (b"", b"0af1" * 7, b"0af1" * 9, b"0AF1" * 8, b"\xff" * 32):
        assert read_ticket(strange) == ""


def test_there_are_none_where_the_operator_wants_none() -> None:
    table = Wires(0)
    assert table.open(TICKET, "a", 0.0) is Refused.OFF
    assert table.enter("10.0.0.1") is Refused.OFF


def test_there_are_bounds_over_all_of_one_actor_and_of_one_address() -> None:
    table = Wires(2)
    assert [table.open(str(n) * 32, f"a{n}", 0.0) for n in range(3)] == [None, None, Refused.FULL]

    table = Wires(1000)
    asked = [table.open(f"{n:032}", "a", 0.0) for n in range(PER_ACTOR + 1)]
    assert asked == [None] * PER_ACTOR + [Refused.ACTOR]
    assert table.open(f"{PER_ACTOR + 1:032}", "b", 0.0) is None

    came = [table.enter("10.0.0.1") for _ in range(PER_ADDRESS + 1)]
    assert came == [None] * PER_ADDRESS + [Refused.ADDRESS]
    assert table.enter("10.0.0.2") is None
    table.leave("10.0.0.1")
    assert table.enter("10.0.0.1") is None


def test_an_ask_that_reached_nobody_leaves_nothing() -> None:
    table = Wires(1)
    table.open(TICKET, "a", 0.0)
    table.withdraw(TICKET)
    assert (len(table), table.due()) == (0, None)
    assert table.join(TICKET, "dialler") is Refused.UNKNOWN
    assert table.open(OTHER, "a", 0.0) is None


def test_a_wire_that_is_over_gives_its_place_back_once() -> None:
    table = Wires(1)
    wire = joined(table)
    table.drop(wire)
    table.drop(wire)
    assert len(table) == 0
    again = joined(table)
    table.drop(wire)  # a late word of the one before it, which had the same ticket
    assert len(table) == 1
    table.drop(again)
    assert len(table) == 0


def test_who_waits_too_long_is_given_up_oldest_first_and_who_is_joined_is_not() -> None:
    table = Wires(8)
    assert table.due() is None
    joined(table)
    assert table.due() is None
    table.open(OTHER, "a", 1.0)
    table.open("2" * 32, "a", 2.0)
    assert table.due() == 1.0 + wires.WAIT
    assert table.expire(1.0) == []
    assert [wire.ticket for wire in table.expire(1.0 + wires.WAIT)] == [OTHER]
    assert [wire.ticket for wire in table.expire(99.0)] == ["2" * 32]
    assert table.refused == {Refused.ALONE: 2}
    assert len(table) == 1


def test_a_direction_brings_so_many_bytes_a_second_and_a_second_of_them_at_once() -> None:
    pace = Pace(1000.0, now=0.0)
    assert pace.spend(1000 - FRAME_COST, 0.0) == 0.0
    assert pace.spend(500 - FRAME_COST, 0.0) == 0.5
    assert pace.spend(0, 0.5) == FRAME_COST / 1000
    assert pace.spend(1500 - FRAME_COST, 99.0) == 0.5  # what was not used is not saved up


def test_frames_in_which_nothing_is_have_their_price_too() -> None:
    pace = Pace(10.0 * FRAME_COST, now=0.0)
    assert [pace.spend(0, 0.0) for _ in range(10)] == [0.0] * 10
    assert pace.spend(0, 0.0) == 0.1
