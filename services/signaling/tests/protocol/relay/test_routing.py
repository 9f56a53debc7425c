from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr import signaling_pb2 as pb
from actr_signaling.errors import BadMessageError
from actr_signaling.protocol import json_form
from actr_signaling.protocol.client import replies
from actr_signaling.protocol.client.limits import Bucket
from actr_signaling.protocol.presence.records import Entry, Load, Registration
from actr_signaling.protocol.presence.view import PresenceView, Reason
from actr_signaling.protocol.relay import parcels
from actr_signaling.protocol.relay.parcels import Answer, Item, Parcel
from actr_signaling.protocol.relay.pending import PendingRelays
from actr_signaling.protocol.relay.routing import Here, Nowhere, Route, There, Undelivered, route
from signaling_kit.client import actor

REPLICA = "0123456789abcdef"


def view(**online: str) -> PresenceView:
    """Actors by name, on the replica given."""
    presence = PresenceView()
    for version, (name, replica) in enumerate(online.items()):
        registration = Registration(id=actor(name.replace("_", "@")))
        presence.put(
            Entry(registration=registration, load=Load(), epoch=1, session="s", replica=replica),
            version,
        )
    return presence


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("here", Here()),
        ("there", There("r2")),
        ("nobody", Nowhere(Undelivered.UNKNOWN)),
        ("left", Nowhere(Undelivered.OFFLINE)),
        ("acme:here@1:other", Nowhere(Undelivered.NOT_ALLOWED)),
        ("acme:met@1:other", Nowhere(Undelivered.UNKNOWN)),
    ],
)
def test_a_relay_goes_where_its_target_is_or_nowhere_and_why(to: str, expected: Route) -> None:
    presence = view(here="r1", there="r2", left="r1")
    presence.remove("acme:left@1:default", 1, Reason.CLOSED, 10)
    found = route(
        actor("a"), actor(to), presence, replica="r1", contacts={"acme:met@1:other": None}
    )
    assert found == expected


def test_an_impossible_target_is_unknown() -> None:
    found = route(actor("a"), None, view(), replica="r1", contacts={})
    assert found == Nowhere(Undelivered.UNKNOWN)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=300))
def test_a_relayed_message_put_together_is_what_protobuf_would_write(
    incarnation: int, reason: bytes
) -> None:
    step = pb.Negotiate(connection_id="c", bye=pb.Bye(reason=reason.hex())).SerializeToString()
    data = replies.relayed(replies.relayed_head(actor("a"), incarnation), step)
    relayed = pb.ServerMessage.FromString(data).relayed
    assert getattr(relayed, "from") == actor("a").to_wire()
    assert relayed.incarnation == incarnation
    assert relayed.negotiate.SerializeToString() == step


@given(st.integers(0, 2**64 - 1), st.integers(0, 300))
def test_a_snapshot_put_together_is_what_protobuf_would_write(version: int, count: int) -> None:
    present = list(view(**{f"p_{number}": "r1" for number in range(count)}))
    data = replies.snapshot(7, replies.snapshot_body("acme:p", version, present))
    body = pb.PresenceSnapshot(
        actr_type="acme:p", version=version, present=[entry.to_wire() for entry in present]
    )
    assert pb.ServerMessage.FromString(data) == pb.ServerMessage(reply_to=7, snapshot=body)


def test_a_reply_in_json_form_has_the_names_of_the_contract() -> None:
    text = json_form.to_json(replies.undelivered(4, Undelivered.OFFLINE, actor("a")))
    assert '"reply_to"' in text
    assert '"OFFLINE"' in text


def test_relays_are_answered_once_and_given_up_in_time() -> None:
    relays = PendingRelays(wait=1.5)
    assert relays.deadline is None
    first = relays.add("s", 1, actor("b"), "r2", now=0.0)
    second = relays.add("s", 2, actor("b"), "r2", now=1.0)
    third = relays.add("s", 3, actor("b"), "r2", now=1.2)
    assert relays.deadline == 1.5
    assert [pending.reply_to for pending in relays.expire(1.4)] == []
    assert [pending.reply_to for pending in relays.expire(1.5)] == [1]
    assert relays.take(first) is None
    taken = relays.take(second)
    assert taken is not None
    assert taken.reply_to == 2
    assert [pending.reply_to for pending in relays.give_up()] == [3]
    assert relays.take(third) is None
    assert len(relays) == 0


def test_pending_relays_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actr_signaling.protocol.relay.pending.MAX_PENDING", 2)
    relays = PendingRelays(wait=1.5)
    relays.add("s", 1, actor("b"), "r2", now=0.0)
    assert not relays.is_full
    relays.add("s", 2, actor("b"), "r2", now=0.0)
    assert relays.is_full


ITEMS = st.lists(
    st.one_of(
        st.builds(
            Parcel,
            number=st.integers(0, 2**64 - 1),
            to=st.text(max_size=60),
            source=st.text(max_size=60),
            data=st.binary(max_size=100),
        ),
        st.builds(
            Answer,
            number=st.integers(0, 2**64 - 1),
            reason=st.one_of(st.none(), st.sampled_from(Undelivered)),
        ),
    ),
    max_size=20,
)


@given(ITEMS)
def test_a_batch_is_read_as_it_was_written(items: list[Item]) -> None:
    data = parcels.pack(REPLICA, [parcels.pack_item(item) for item in items])
    sender, found = parcels.unpack(data)
    assert sender == REPLICA
    assert list(found) == items


@given(ITEMS, st.integers(0, 500), st.binary(max_size=4))
def test_a_broken_batch_is_a_named_error(items: list[Item], cut: int, noise: bytes) -> None:
    data = parcels.pack(REPLICA, [parcels.pack_item(item) for item in items])
    broken = data[:cut] + noise + data[cut + len(noise) :]
    with suppress(BadMessageError):
        list(parcels.unpack(broken)[1])


@pytest.mark.parametrize(
    "data",
    [
        b"short",
        REPLICA.encode() + b"\x09",
        REPLICA.encode() + b"\x01\x00",
        REPLICA.encode() + parcels.pack_item(Parcel(1, "to", "source", b"data"))[:-1],
        REPLICA.encode() + b"\x02" + b"\0" * 8 + b"\x77",
        REPLICA.encode() + parcels.pack_item(Parcel(1, "t", "s", b""))[:-2] + b"\xff\xff",
    ],
    ids=["no sender", "unknown kind", "half a head", "half a parcel", "unknown reason", "not text"],
)
def test_each_way_to_break_a_batch_has_its_error(data: bytes) -> None:
    with pytest.raises(BadMessageError):
        list(parcels.unpack(data)[1])


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(rate=10, burst=5, now=0.0)
    assert bucket.is_full
    assert [bucket.take(1, 0.0) for _ in range(6)] == [True] * 5 + [False]
    assert bucket.take(1, 0.1)
    assert not bucket.take(1, 0.1)
    assert [bucket.take(1, 100.0) for _ in range(6)] == [True] * 5 + [False]
