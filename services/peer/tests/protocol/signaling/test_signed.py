"""Of others only what they have signed is believed; each that is not is refused for its fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from google.protobuf.message import DecodeError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from actr import signaling_pb2 as pb
from actr_peer.errors import CertificateFault
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import LEEWAY
from actr_peer.protocol.signaling import messages
from actr_peer.protocol.signaling.presence import Change, Load, Presence, PresenceEvent
from actr_peer.protocol.signaling.signed import Fault, Newest, SignedReader
from peer_kit.signaling.holders import Authority, Holder

ROOM = ActrId("acme", "room", "2")
OTHER = ActrId("acme", "room", "3")
NOW = 1_800_000_000
AUTHORITY = Authority(lambda: NOW)
HOLDER = AUTHORITY.enrol(ROOM)
SAID = {
    "ws_address": "ws://10.0.0.1:9100/v1/wire",
    "incarnation": 7,
    "metadata": {"color": "blue"},
    "services": [
        pb.ServiceFingerprint(service="demo.Chat", fingerprint="ab12"),
        pb.ServiceFingerprint(service="demo.Files"),
    ],
}
GENUINE = Presence(
    id=ROOM,
    incarnation=7,
    ws_address="ws://10.0.0.1:9100/v1/wire",
    services=(("demo.Chat", "ab12"), ("demo.Files", "")),
    metadata={"color": "blue"},
    load=Load(0, 0.0),
    epoch=1,
)


class Reader:
    """Reads, and remembers whom it refused."""

    def __init__(self, authority: Authority = AUTHORITY) -> None:
        self.refused: list[tuple[ActrId, str]] = []
        self.now = float(NOW)
        self.read = SignedReader(
            authority.verify,
            lambda actor, why: self.refused.append((actor, why)),
            lambda: self.now,
        )


def shown(holder: Holder = HOLDER) -> pb.Presence:
    return holder.presence(**SAID)


def test_what_an_actor_has_signed_is_believed() -> None:
    reader = Reader()
    assert reader.read(shown()) == GENUINE
    assert reader.refused == []


def test_load_and_epoch_are_the_services_word_and_the_order_of_services_is_nobodys() -> None:
    reader, body = Reader(), shown()
    body.load.mailbox_backlog = 3
    body.epoch = 9
    body.services.reverse()
    services = GENUINE.services[::-1]
    expected = replace(GENUINE, load=Load(3, 0.0), epoch=9, services=services)
    assert reader.read(body) == expected


def strip(body: pb.Presence) -> None:
    body.ClearField("signed")


def move(body: pb.Presence) -> None:
    body.ws_address = "ws://10.6.6.6:9100/v1/wire"


def restart(body: pb.Presence) -> None:
    body.incarnation = 8


def paint(body: pb.Presence) -> None:
    body.metadata["color"] = "red"


def serve(body: pb.Presence) -> None:
    body.services.add(service="demo.Bank")


def rename(body: pb.Presence) -> None:
    body.id.CopyFrom(OTHER.to_message())


def re_sign(body: pb.Presence) -> None:
    move(body)
    other = AUTHORITY.enrol(ROOM)
    body.signed.signature = other.presence(**SAID).signed.signature


def swap(body: pb.Presence) -> None:
    body.signed.CopyFrom(AUTHORITY.enrol(OTHER).presence(**SAID).signed)


def forge(body: pb.Presence) -> None:
    move(body)
    body.signed.CopyFrom(Authority().enrol(ROOM).presence(**SAID).signed)


def garble(body: pb.Presence) -> None:
    body.CopyFrom(HOLDER.presence(**SAID))
    body.signed.certificate = b"\xff"


def with_certificate(**changed: int) -> Callable[[pb.Presence], None]:
    def apply(body: pb.Presence) -> None:
        holder = AUTHORITY.enrol(ROOM, **changed)
        body.CopyFrom(shown(holder))

    return apply


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(strip, Fault.UNSIGNED, id="the signature is stripped"),
        pytest.param(move, Fault.ALTERED, id="another address"),
        pytest.param(restart, Fault.ALTERED, id="another incarnation"),
        pytest.param(paint, Fault.ALTERED, id="other metadata"),
        pytest.param(serve, Fault.ALTERED, id="one more service"),
        pytest.param(rename, Fault.ID, id="another's registration under this id"),
        pytest.param(swap, Fault.ID, id="this id with another's registration"),
        pytest.param(re_sign, Fault.SIGNATURE, id="signed by another key"),
        pytest.param(forge, CertificateFault.UNKNOWN_KEY.value, id="of a foreign issuer"),
        pytest.param(garble, CertificateFault.MALFORMED.value, id="no certificate"),
        pytest.param(
            with_certificate(now=NOW - 2000),
            CertificateFault.EXPIRED.value,
            id="an expired certificate",
        ),
        pytest.param(
            with_certificate(now=NOW + 2000),
            CertificateFault.NOT_YET_VALID.value,
            id="a certificate of the future",
        ),
    ],
)
def test_what_an_actor_has_not_signed_is_refused(
    change: Callable[[pb.Presence], None], why: str
) -> None:
    reader, body = Reader(), shown()
    change(body)
    named = ActrId.from_message(body.id)
    assert reader.read(body) is None
    assert reader.refused == [(named, why)]


def test_a_registration_of_another_realm_is_another_actors() -> None:
    reader, body = Reader(), shown(AUTHORITY.enrol(ROOM, realm="other"))
    assert reader.read(body) is None
    assert reader.refused == [(ROOM, Fault.ID)]


def test_what_is_signed_and_is_no_registration_is_refused() -> None:
    reader = Reader()
    body = shown()
    for register in (b"\xff", b"", pb.Register(ws_address="x" * 300).SerializeToString()):
        signature = HOLDER.sign(
            b"actr/signaling/v2/register\0" + len(register).to_bytes(4) + register
        )
        body.signed.register, body.signed.signature = register, signature
        assert reader.read(body) is None
    assert reader.refused == [(ROOM, Fault.ALTERED)] * 3


def test_what_nobody_can_be_is_nobody_s_fault() -> None:
    reader = Reader()
    assert reader.read(pb.Presence()) is None
    assert reader.refused == []


DATA = shown().SerializeToString()


@settings(max_examples=3000)
@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), st.integers(0, 3), st.binary(max_size=4)),
        min_size=1,
        max_size=3,
    )
)
def test_no_changed_presence_says_anything_else(changes: list[tuple[int, int, bytes]]) -> None:
    data = DATA
    for place, cut, put in changes:
        at = place % len(data)
        data = data[:at] + put + data[at + cut :]
    assume(data != DATA)
    try:
        body = pb.Presence.FromString(data)
    except DecodeError:
        return
    read = Reader().read(body)
    if read is not None:
        assert replace(read, load=GENUINE.load, epoch=1) == GENUINE


def test_listings_events_and_discoveries_are_read_so_too() -> None:
    reader, forged = Reader(), shown()
    move(forged)
    present = [shown(), forged]
    for message, count in (
        (pb.ServerMessage(snapshot=pb.PresenceSnapshot(present=present)), 1),
        (pb.ServerMessage(discovered=pb.Discovered(found=present)), 1),
    ):
        data = message.SerializeToString()
        _, short = messages.decode(data, reader.read)
        assert isinstance(short, messages.Snapshot | messages.Discovered)
        found = short.present if isinstance(short, messages.Snapshot) else short.found
        assert found == (GENUINE,) * count
    event = pb.ServerMessage(presence=pb.PresenceEvent(presence=forged))
    assert messages.decode(event.SerializeToString(), reader.read)[1] is None
    assert reader.refused == [(ROOM, Fault.ALTERED)] * 3


def test_a_long_listing_is_read_so_too() -> None:
    reader, forged = Reader(), shown()
    move(forged)
    present = [shown()] + [forged] * 100
    data = pb.ServerMessage(snapshot=pb.PresenceSnapshot(present=present)).SerializeToString()
    assert len(data) > messages.LONG_BYTES
    _, body = messages.decode(data, reader.read)
    assert isinstance(body, messages.Snapshot)
    assert body.present == (GENUINE,)
    assert len(reader.refused) == 100


def test_nobody_signs_that_it_has_left() -> None:
    reader = Reader()
    left = pb.PresenceEvent(
        kind=pb.PresenceEvent.LEAVE, presence=pb.Presence(id=ROOM.to_message(), epoch=1)
    )
    _, body = messages.decode(pb.ServerMessage(presence=left).SerializeToString(), reader.read)
    assert isinstance(body, PresenceEvent)
    assert (body.kind, body.presence.id) == (Change.LEAVE, ROOM)
    assert reader.refused == []


# Older ones


def signed_at(seconds: float, holder: Holder = HOLDER) -> pb.Presence:
    return holder.presence(**SAID, signed_at_ms=round(seconds * 1000))


def test_an_older_registration_is_not_believed_by_who_has_seen_a_newer_one() -> None:
    reader = Reader()
    old, new = signed_at(reader.now - LEEWAY - 1), signed_at(reader.now)
    assert reader.read(old) == GENUINE, "nobody has seen another"
    assert reader.read(new) == GENUINE
    for body in (old, shown()):
        assert reader.read(body) is None
    assert reader.refused == [(ROOM, Fault.OLD)] * 2
    assert reader.read(new) == GENUINE, "it is said again with each snapshot"
    assert Reader().read(old) == GENUINE


def test_clocks_may_differ_and_who_was_ahead_of_its_time_may_register_again() -> None:
    reader = Reader()
    for at in (reader.now + 1000, reader.now, reader.now - LEEWAY):
        assert reader.read(signed_at(at)) == GENUINE
    assert reader.refused == []


def test_a_registration_that_is_refused_says_nothing_of_the_time() -> None:
    reader = Reader()
    forged = signed_at(reader.now)
    move(forged)
    assert reader.read(forged) is None
    assert reader.read(signed_at(reader.now - 1000)) == GENUINE


@given(
    steps=st.lists(st.tuples(st.sampled_from([ROOM, OTHER]), st.floats(0, 1000)), max_size=30),
    now=st.floats(0, 1000),
)
def test_what_is_believed_of_an_actor_never_goes_back_by_more_than_clocks_may_differ(
    steps: list[tuple[ActrId, float]], now: float
) -> None:
    newest, believed = Newest(), dict.fromkeys((ROOM, OTHER), 0.0)
    for actor, at in steps:
        assert newest.is_old(actor, at, now) is (at < believed[actor] - LEEWAY)
        believed[actor] = max(believed[actor], min(at, now))


def test_no_more_than_so_many_actors_are_remembered() -> None:
    newest = Newest(most=2)
    ids = [replace(ROOM, instance=str(number)) for number in range(3)]
    for who in (*ids[:2], ids[0], ids[2]):
        assert not newest.is_old(who, 1000.0, 1000.0)
    assert newest.is_old(ids[0], 0.0, 1000.0)
    assert newest.is_old(ids[2], 0.0, 1000.0)
    assert not newest.is_old(ids[1], 0.0, 1000.0), "it was seen longest ago"
