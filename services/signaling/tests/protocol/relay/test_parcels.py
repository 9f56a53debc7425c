"""A batch between replicas, and everything that may be wrong with one."""

from __future__ import annotations

import pytest

from actr_signaling.errors import BadMessageError
from actr_signaling.protocol.relay.parcels import Answer, Item, Parcel, pack, pack_item, unpack
from actr_signaling.protocol.relay.routing import Undelivered

REPLICA = "0123456789abcdef"
ITEMS: list[Item] = [
    Parcel(1, "acme:b@1:default", "acme:a@1:default", b"data"),
    Answer(7, None),
    Answer(2**64 - 1, Undelivered.OVERLOADED),
    Parcel(2, "acme:c@1:default", "acme:a@1:default", b""),
]


def batch(items: list[Item]) -> bytes:
    return pack(REPLICA, map(pack_item, items))


def test_a_batch_has_its_sender_and_its_items_in_order() -> None:
    sender, found = unpack(batch(ITEMS))
    assert sender == REPLICA
    assert list(found) == ITEMS


def test_a_batch_of_nothing_has_a_sender() -> None:
    sender, found = unpack(batch([]))
    assert (sender, list(found)) == (REPLICA, [])


def test_a_batch_too_short_for_a_sender_is_refused() -> None:
    with pytest.raises(BadMessageError, match="without a sender"):
        unpack(b"short")


@pytest.mark.parametrize(
    ("tail", "why"),
    [
        (pack_item(ITEMS[0])[:-1], "ends in a parcel"),
        (pack_item(ITEMS[0])[:5], "cannot be read"),
        (pack_item(ITEMS[1])[:5], "cannot be read"),
        (pack_item(ITEMS[1])[:-1] + b"\xff", "cannot be read"),
        (b"\x07", "of kind 7"),
        (pack_item(ITEMS[0]).replace(b"acme:b", b"\xff" * 6), "cannot be read"),
    ],
    ids=[
        "data that is cut",
        "a parcel's head that is cut",
        "an answer that is cut",
        "a reason that nobody knows",
        "a kind that nobody knows",
        "an id that is no text",
    ],
)
def test_what_is_malformed_is_an_error_after_the_good_items(tail: bytes, why: str) -> None:
    _, found = unpack(batch(ITEMS[:2]) + tail)
    assert [next(found), next(found)] == ITEMS[:2]
    with pytest.raises(BadMessageError, match=why):
        next(found)
