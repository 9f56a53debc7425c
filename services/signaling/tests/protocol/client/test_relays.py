"""A relay is looked at where it lies, or left to protobuf: what is seen is what that reads."""

from __future__ import annotations

from contextlib import suppress

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from actr import signaling_pb2 as pb
from actr_signaling.errors import SignalingError
from actr_signaling.protocol.client import messages
from actr_signaling.protocol.client.relays import MAX_NUMBER_BYTES, look
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.identity.ids import MAX_ID_BYTES, read_id
from signaling_kit.client import actor

WHO = actor("b").to_wire()
STATEMENT = {"signature": b"\x00" * 64, "statement": b"\xff" * 130, "certificate": b"c" * 300}
OFFER = pb.SessionDescription(sdp="v=0\r\n" * 300)


def written(number: int = 7, to: object = WHO, **step: object) -> bytes:
    relay = pb.Relay(to=to, negotiate=pb.Negotiate(**step))  # type: ignore[arg-type]
    return pb.ClientMessage(id=number, relay=relay).SerializeToString()


def by_protobuf(data: bytes) -> tuple[int, messages.Relay] | None:
    """None: it is refused, or is no relay."""
    with suppress(SignalingError):
        wire = messages.parse(data)
        said = messages.read(wire)
        if isinstance(said, messages.Relay):
            return wire.id, said
    return None


def assert_alike(data: bytes) -> None:
    """What is seen in a message is what protobuf reads and the bounds allow."""
    seen = look(data)
    if seen is None:
        return
    number, to, negotiate = seen
    try:
        target = read_id(to)
    except DecodeError:
        assert by_protobuf(data) is None
        return
    read = by_protobuf(data)
    assert read is not None
    assert (number, target) == (read[0], read[1].to)
    step = pb.Negotiate.FromString(negotiate)
    assert step == pb.Negotiate.FromString(read[1].negotiate)


USUAL = [
    {"connection_id": "c" * 32, "exchange": 1, "offer": OFFER},
    {"connection_id": "c" * 256, "answer": OFFER, **STATEMENT},
    {"exchange": 2**28 - 1, "offer": pb.SessionDescription(sdp="x" * messages.MAX_SDP_CHARACTERS)},
    {"candidate": pb.IceCandidate(candidate="c" * 512, sdp_mid="m" * 256, sdp_m_line_index=127)},
    {"connection_id": "c", "exchange": 300, "candidate": pb.IceCandidate(sdp_mid="0")},
    {"connection_id": "c", "candidate": pb.IceCandidate()},
    {"offer": OFFER, "certificate": b"c"},
]


def test_a_target_with_long_names_is_seen_too() -> None:
    who = ActrId("m" * 63, "n" * 63, "i" * 63, "r" * 63).to_wire()
    data = written(1, who, **USUAL[0])
    seen = look(data)
    assert seen is not None
    assert len(seen[1]) == MAX_ID_BYTES
    assert_alike(data)


@pytest.mark.parametrize("number", [1, 127, 128, 2**14, 2**35 - 1])
@pytest.mark.parametrize("step", USUAL)
def test_what_peers_send_is_seen_without_protobuf(number: int, step: dict[str, object]) -> None:
    data = written(number, **step)
    seen = look(data)
    assert seen is not None
    assert seen[:2] == (number, WHO.SerializeToString())
    assert seen[2] == pb.Negotiate(**step).SerializeToString()  # type: ignore[arg-type]
    assert_alike(data)


PLAIN = written(1, offer=pb.SessionDescription(sdp="v=0"))
ODD = {
    "no id": written(0, offer=OFFER),
    "a large id": written(2**35, offer=OFFER),
    "another message": pb.ClientMessage(id=1, heartbeat=pb.Heartbeat()).SerializeToString(),
    "no target": written(1, None, offer=OFFER),
    "a target of more bytes than an id": written(
        1, pb.ClientMessage(id=1).relay.to.__class__(name="n" * MAX_ID_BYTES), offer=OFFER
    ),
    "no step": written(connection_id="c"),
    "an exchange alone": written(exchange=1),
    "nothing in the step": written(),
    "a bye": written(bye=pb.Bye(reason="gone")),
    "an offer to be asked for": written(request_offer=pb.RequestOffer()),
    "a large exchange": written(exchange=2**28, offer=OFFER),
    "a long connection_id": written(connection_id="c" * 257, offer=OFFER),
    "a connection_id beyond ASCII": written(connection_id="é", offer=OFFER),
    "an sdp beyond ASCII": written(offer=pb.SessionDescription(sdp="é")),
    "a long sdp": written(offer=pb.SessionDescription(sdp="x" * 49_153)),
    "tracks": written(offer=pb.SessionDescription(sdp="x", track_ids={"0": "t"})),
    "tracks alone": written(offer=pb.SessionDescription(track_ids={"0": "t"})),
    "a long candidate": written(candidate=pb.IceCandidate(candidate="c" * 513)),
    "a candidate beyond ASCII": written(candidate=pb.IceCandidate(candidate="é")),
    "a long mid": written(candidate=pb.IceCandidate(sdp_mid="m" * 257)),
    "a large line": written(candidate=pb.IceCandidate(sdp_m_line_index=128)),
    "more behind it": written(offer=OFFER) + b"\x08\x01",
    "another relay behind it": written(offer=OFFER) * 2,
    "more in the step": written(offer=OFFER)[:-1] + b"\x0a\x00",
    "nothing": b"",
    "a relay that says it ends sooner": PLAIN[:3] + bytes((PLAIN[3] - 1,)) + PLAIN[4:],
    "a relay that says it ends later": PLAIN[:3] + bytes((PLAIN[3] + 1,)) + PLAIN[4:],
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD.keys())
def test_what_is_odd_or_wrong_is_left_to_protobuf(data: bytes) -> None:
    assert look(data) is None


def test_signed_parts_in_another_order_are_left_to_protobuf() -> None:
    step = pb.Negotiate(offer=OFFER).SerializeToString()
    later = pb.Negotiate(certificate=b"c").SerializeToString()
    early = pb.Negotiate(signature=b"s").SerializeToString()
    relay = pb.Relay(to=WHO).SerializeToString()

    def wrapped(negotiate: bytes) -> bytes:
        inner = relay + b"\x12" + _length(negotiate) + negotiate
        return b"\x08\x01\x42" + _length(inner) + inner

    assert look(wrapped(step + early + later)) is not None
    assert look(wrapped(step + later + early)) is None
    assert look(wrapped(step + early + early)) is None
    assert look(wrapped(step + step)) is None


def _length(data: bytes) -> bytes:
    return bytes((len(data) & 0x7F | 0x80, len(data) >> 7 & 0x7F | 0x80, len(data) >> 14))


@pytest.mark.parametrize("step", USUAL[:2] + USUAL[4:])
def test_a_message_that_is_cut_off_anywhere_is_left_to_protobuf(step: dict[str, object]) -> None:
    data = written(200, **step)
    assert look(data) is not None
    assert [end for end in range(len(data)) if look(data[:end]) is not None] == []


CHANGES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4)


@given(st.sampled_from(USUAL), CHANGES)
def test_a_message_that_is_altered_is_read_as_protobuf_reads_it(
    step: dict[str, object], changes: list[tuple[int, int]]
) -> None:
    data = bytearray(written(300, **step))
    for place, byte in changes:
        data[place % len(data)] = byte
    assert_alike(bytes(data))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_protobuf_reads_them(data: bytes) -> None:
    assert_alike(data)
    assert_alike(b"\x08\x01\x42" + bytes((len(data),)) + data)


def test_an_id_of_which_varints_have_more_bytes_than_they_need_is_the_same_number() -> None:
    data = b"\x08\x85\x80\x00" + written(1, offer=OFFER)[2:]
    seen = look(data)
    assert seen is not None
    assert seen[0] == 5 == pb.ClientMessage.FromString(data).id
    assert look(b"\x08" + b"\x85" * MAX_NUMBER_BYTES + b"\x00" + data[4:]) is None


def test_an_id_that_nobody_can_have_and_one_that_is_none() -> None:
    assert read_id(WHO.SerializeToString()) == ActrId.check(WHO)
    assert read_id(b"\x0a\x02a ") is None
    with pytest.raises(DecodeError):
        read_id(b"\x0a\xff")
