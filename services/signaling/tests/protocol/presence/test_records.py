"""What is known of one actor: its forms, who may see it, and how its load compares."""

from __future__ import annotations

import json
import math

import pytest

from actr import signaling_pb2 as pb
from actr_signaling.protocol.presence.records import Entry, Load, Registration, varint
from signaling_kit.client import actor


def entry(**fields: object) -> Entry:
    registration = Registration(id=actor("a"), **fields)  # type: ignore[arg-type]
    return Entry(registration=registration, load=Load(), epoch=3, session="s", replica="r")


def test_whichever_form_is_asked_for_first_all_are_the_same_entry() -> None:
    wire = entry().to_wire()
    packed = wire.SerializeToString()
    assert entry().packed == packed
    assert entry().listed == varint(len(packed)) + packed
    assert json.loads(entry().shown)["epoch"] == "3"


def test_a_form_is_written_once() -> None:
    one = entry()
    one.write()
    assert (one.packed, one.listed, one.shown) == (one.packed, one.listed, one.shown)
    assert one.packed is one.packed
    assert one.listed is one.listed
    assert one.shown is one.shown


@pytest.mark.parametrize(
    ("value", "expected"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")]
)
def test_a_number_is_written_as_protobuf_does(value: int, expected: bytes) -> None:
    assert varint(value) == expected


@pytest.mark.parametrize(
    ("told", "reserve"), [(0.5, 0.5), (-1.0, 0.0), (7.0, 1.0), (math.nan, 0.0), (math.inf, 0.0)]
)
def test_a_reserve_that_is_none_counts_as_the_nearest_that_is(told: float, reserve: float) -> None:
    assert Load.from_wire(pb.Load(power_reserve=told)).power_reserve == reserve


def test_a_registration_comes_back_from_the_wire_as_it_was() -> None:
    whole = Registration(
        id=actor("a"),
        ws_address="ws://a",
        services={"chat.Room": "f" * 64},
        incarnation=7,
        metadata={"zone": "north"},
        is_hidden=True,
        allowed_realms=frozenset({"mall"}),
    )
    assert Registration.from_wire(actor("a"), whole.to_wire()) == whole


def test_other_realms_see_and_reach_an_actor_only_where_it_says_so() -> None:
    plain, open_, hidden = (
        entry(),
        entry(allowed_realms=frozenset({"mall"})),
        entry(allowed_realms=frozenset({"mall"}), is_hidden=True),
    )
    assert (plain.audience, plain.may_be_reached_from("mall")) == ({"default"}, False)
    assert (open_.audience, open_.may_be_reached_from("mall")) == ({"default", "mall"}, True)
    assert (hidden.audience, hidden.may_be_reached_from("mall")) == (set(), True)
    assert hidden.may_be_reached_from("default")
