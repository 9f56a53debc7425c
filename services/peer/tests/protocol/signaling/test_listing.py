"""Long messages of the service, which list actors."""

from __future__ import annotations

import contextlib

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from actr import signaling_pb2 as pb
from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling import listing, messages
from actr_peer.protocol.signaling.listing import LONG_BYTES, MAX_PRESENCE_BYTES, exhaust

ALICE = ActrId("acme", "chat", "alice")


def presence(**fields: object) -> pb.Presence:
    return pb.Presence(id=ALICE.to_message(), **fields)  # type: ignore[arg-type]


def listings(actors: list[pb.Presence], version: int) -> list[pb.ServerMessage]:
    snapshot = pb.PresenceSnapshot(actr_type="acme:chat", version=version, present=actors)
    return [
        pb.ServerMessage(reply_to=3, snapshot=snapshot),
        pb.ServerMessage(reply_to=3, discovered=pb.Discovered(found=actors)),
    ]


@given(st.integers(0, 2**64 - 1), st.lists(st.text(max_size=300), max_size=5))
def test_a_long_listing_is_read_as_a_short_one_is(version: int, addresses: list[str]) -> None:
    actors = [presence(ws_address=address, epoch=version) for address in addresses]
    for message in listings(actors, version):
        data = message.SerializeToString()
        assert exhaust(messages.decode_long(data)) == messages.decode(data)


def test_after_whom_a_discovery_goes_on_is_read() -> None:
    found = pb.Discovered(found=[presence()], next="after alice")
    data = pb.ServerMessage(reply_to=3, discovered=found).SerializeToString()
    assert exhaust(listing.read_listing(data)).next == "after alice"


def test_what_is_too_long_to_be_an_actor_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = presence(metadata={str(number): "" for number in range(20_000)})
    assert bomb.ByteSize() > MAX_PRESENCE_BYTES
    for message in listings([presence(), bomb, presence(epoch=5)], 1):
        _, body = messages.decode(message.SerializeToString())
        assert isinstance(body, messages.Snapshot | messages.Discovered)
        found = body.present if isinstance(body, messages.Snapshot) else body.found
        assert [one.epoch for one in found] == [0, 5]


def long(message: Message) -> bytes:
    data = message.SerializeToString()
    assert len(data) > LONG_BYTES
    return data


def test_no_other_message_may_be_so_long() -> None:
    bomb = presence(metadata={str(number): "" for number in range(20_000)})
    for message in (
        pb.ServerMessage(presence=pb.PresenceEvent(presence=bomb)),
        pb.ServerMessage(error=pb.SignalingError(message="x" * LONG_BYTES)),
        pb.ServerMessage(registered=pb.Registered(ice_servers=[pb.IceServer()] * LONG_BYTES)),
    ):
        with pytest.raises(RemoteProtocolError):
            messages.decode(long(message))


def test_a_listing_is_read_a_little_at_each_step_and_no_further_than_its_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listing, "MAX_PRESENT", 10)
    (message, _) = listings([presence()] * 50, 1)
    steps = list(messages.decode_long(message.SerializeToString()))
    assert len(steps) == 11


@given(st.binary(max_size=64))
def test_whatever_a_long_message_holds_is_read_or_refused(tail: bytes) -> None:
    for message in listings([presence()] * 3, 1):
        data = message.SerializeToString()
        for at in range(0, len(data), 7):
            with contextlib.suppress(RemoteProtocolError):
                exhaust(messages.decode_long(data[:at] + tail + data[at:]))


def listing_of(*fields: bytes) -> bytes:
    """A snapshot of these fields as they are."""
    body = b"".join(fields)
    assert len(body) < 128
    return bytes([6 << 3 | 2, len(body)]) + body


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (listing_of(bytes([3 << 3 | 2, 2]) + b"\xff\xff"), "actor that cannot be decoded"),
        (listing_of(bytes([3 << 3 | 5]) + b"abcd"), "field of kind 5"),
        (listing_of(bytes([3 << 3 | 2, 100]) + b"short"), "cut short"),
        (listing_of(bytes([3 << 3 | 2])), "cut short"),
        (listing_of()[:-1], "cut short"),
        (listing_of() + listing_of(), "lists no actors"),
    ],
    ids=[
        "an actor that is none",
        "a field of a kind that is none",
        "a field longer than the message",
        "a field without a length",
        "a message that ends in its head",
        "two listings",
    ],
)
def test_a_listing_that_is_malformed_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(RemoteProtocolError, match=why):
        exhaust(listing.read_listing(data))


def test_a_field_of_a_later_version_is_passed_over() -> None:
    data = listing_of(bytes([1 << 3 | 2, 2]) + b"a\xff", bytes([9 << 3, 5]), bytes([2 << 3, 7]))
    found = exhaust(listing.read_listing(data))
    assert (found.actr_type, found.version, found.present) == ("a\ufffd", 7, ())


def test_an_actor_without_a_usable_id_is_passed_over() -> None:
    actors = [pb.Presence(epoch=1), presence(epoch=2)]
    data = listings(actors, 1)[0].SerializeToString()
    assert [one.epoch for one in exhaust(listing.read_listing(data)).present] == [2]
