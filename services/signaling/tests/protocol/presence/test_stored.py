from __future__ import annotations

import math
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_signaling.errors import BadMessageError
from actr_signaling.protocol.presence import stored
from actr_signaling.protocol.presence.changes import Put, Removed
from actr_signaling.protocol.presence.records import Entry, Load, Registration
from actr_signaling.protocol.presence.view import Reason
from signaling_kit.client import actor

ENTRY = Entry(
    registration=Registration(
        id=actor("a"),
        ws_address="ws://10.0.0.1:9100/",
        services={"chat.Room": "ff"},
        incarnation=2**63,
        metadata={"b": "2", "a": "1"},
        is_hidden=True,
        allowed_realms=frozenset({"mall", "other"}),
    ),
    load=Load(17, 0.5),
    epoch=1_795_290_691_368_138,
    session="0123456789abcdef" * 2,
    replica="fedcba9876543210",
)
VALUE = f"{ENTRY.epoch:016d}".encode() + stored.pack_tail(ENTRY)
HEAD = b"0000000000000010" + b"0000000000000012"


def test_an_entry_is_read_as_it_was_written() -> None:
    assert stored.unpack(VALUE) == ENTRY


def test_the_same_entry_is_always_the_same_bytes() -> None:
    again = stored.unpack(VALUE)
    assert stored.pack_tail(again) == stored.pack_tail(ENTRY)


def test_changes_are_read_with_the_version_before_them() -> None:
    assert stored.unpack_change(b"P" + HEAD + VALUE) == (10, Put(ENTRY, 12))
    removed = b"R" + HEAD + b"4" + b"0000000000000005" + b"acme:a@1:default"
    assert stored.unpack_change(removed) == (
        10,
        Removed("acme:a@1:default", 5, Reason.DRAINED, 12),
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"P",
        b"X" + HEAD,
        b"P" + HEAD,
        b"P" + HEAD + VALUE[:70],
        b"P" + HEAD + VALUE + b"\xff",
        b"R" + HEAD + b"9" + b"0000000000000005" + b"a",
        b"R" + HEAD + b"1" + b"x",
    ],
    ids=["empty", "no head", "kind", "no value", "half", "noise", "reason", "no epoch"],
)
def test_each_way_to_break_a_change_has_its_error(data: bytes) -> None:
    with pytest.raises(BadMessageError):
        stored.unpack_change(data)


def with_reserve(reserve: float) -> bytes:
    at = 16 + 32 + 16 + 4
    return VALUE[:at] + struct.pack(">f", reserve) + VALUE[at + 4 :]


@pytest.mark.parametrize("reserve", [math.inf, -math.inf, math.nan, 1e30, -0.5])
def test_a_reserve_that_no_replica_writes_makes_a_value_none(reserve: float) -> None:
    with pytest.raises(BadMessageError):
        stored.unpack(with_reserve(reserve))


@pytest.mark.parametrize("epoch", ["-000000000000005", " 00000000000005 ", "0_00000000000005"])
def test_an_epoch_of_other_signs_than_digits_makes_a_value_none(epoch: str) -> None:
    with pytest.raises(BadMessageError):
        stored.unpack(epoch.encode() + VALUE[16:])
    with pytest.raises(BadMessageError):
        stored.unpack_change(b"R" + HEAD + b"1" + epoch.encode() + b"acme:a@1:default")


def test_versions_of_other_signs_than_digits_make_a_change_none() -> None:
    removed = b"1" + b"0000000000000005" + b"acme:a@1:default"
    for versions in (b"-000000000000001" + HEAD[16:], HEAD[:16] + b"-000000000000001"):
        with pytest.raises(BadMessageError):
            stored.unpack_change(b"R" + versions + removed)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_value_or_a_named_error(data: bytes) -> None:
    with suppress(BadMessageError):
        stored.unpack(data)
