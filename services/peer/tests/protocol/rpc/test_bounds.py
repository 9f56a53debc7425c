"""Bounds are held before anything is decoded, on both sides of a lane."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr import envelope_pb2 as pb
from actr_peer.errors import LimitError, LocalProtocolError, RemoteProtocolError
from actr_peer.protocol.rpc import bounds
from actr_peer.protocol.rpc.bounds import (
    CHUNK,
    ENVELOPE,
    MAX_CALL_CHAIN,
    MAX_FIELDS,
    MAX_ID_CHARS,
    MAX_METADATA_BYTES,
    MAX_METADATA_ENTRIES,
    MAX_ROUTE_CHARS,
    MAX_TRACEPARENT_CHARS,
    MAX_TRACESTATE_CHARS,
    UNSCANNED_BYTES,
    channel_of,
    check,
    request_id_of,
)
from actr_peer.protocol.rpc.envelopes import (
    Extras,
    decode_envelope,
    encode_cancel,
    encode_reply,
    encode_request,
)
from actr_peer.protocol.streams.chunks import decode_chunk

ID = "x" * MAX_ID_CHARS
WIDE = "\N{SNOWMAN}" * MAX_ID_CHARS


def full_request(payload: bytes = b"", text: str = ID) -> bytes:
    """A request at every bound."""
    entry = MAX_METADATA_BYTES // MAX_METADATA_ENTRIES
    return encode_request(
        text,
        "r" * MAX_ROUTE_CHARS,
        payload,
        metadata={f"{n:04}": "v" * (entry - 4) for n in range(MAX_METADATA_ENTRIES)},
        extras=Extras(
            traceparent="t" * MAX_TRACEPARENT_CHARS,
            tracestate="t" * MAX_TRACESTATE_CHARS,
            channel_id=text,
            credit=1,
            call_chain=[text] * MAX_CALL_CHAIN,
        ),
    )


@pytest.mark.parametrize("text", [ID, WIDE], ids=["ascii", "three bytes each"])
@pytest.mark.parametrize("payload", [b"", bytes(1 << 20)], ids=["short", "long"])
def test_a_request_at_every_bound_is_sent_and_taken(text: str, payload: bytes) -> None:
    envelope = decode_envelope(full_request(payload, text))
    assert (envelope.request_id, envelope.channel_id) == (text, text)
    assert len(envelope.metadata) == MAX_METADATA_ENTRIES
    assert envelope.call_chain == (text,) * MAX_CALL_CHAIN


OVER: dict[str, dict[str, Any]] = {
    "request id": {"request_id": ID + "x"},
    "route key": {"route_key": "r" * (MAX_ROUTE_CHARS + 1)},
    "metadata entries": {"metadata": {str(n): "" for n in range(MAX_METADATA_ENTRIES + 1)}},
    "metadata bytes": {"metadata": {"k": "v" * MAX_METADATA_BYTES}},
    "metadata bytes in UTF-8": {"metadata": {"k": "\N{SNOWMAN}" * (MAX_METADATA_BYTES // 3 + 1)}},
    "chain": {"extras": Extras(call_chain=["r"] * (MAX_CALL_CHAIN + 1))},
    "id in the chain": {"extras": Extras(call_chain=[ID + "x"])},
    "traceparent": {"extras": Extras(traceparent="t" * (MAX_TRACEPARENT_CHARS + 1))},
    "tracestate": {"extras": Extras(traceparent="t", tracestate="t" * (MAX_TRACESTATE_CHARS + 1))},
}


@pytest.mark.parametrize("more", OVER.values(), ids=OVER)
def test_what_is_over_a_bound_is_an_error_to_who_sends_it(more: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"request_id": "r", "route_key": "a.B.C", "payload": b"", **more}
    with pytest.raises(LimitError):
        encode_request(**arguments)


RECEIVED = {
    "request id": pb.RpcEnvelope(request_id=ID + "x"),
    "no request id": pb.RpcEnvelope(route_key="a.B.C"),
    "route key": pb.RpcEnvelope(request_id="r", route_key="r" * (MAX_ROUTE_CHARS + 1)),
    "metadata entries": pb.RpcEnvelope(
        request_id="r", metadata={str(n): "" for n in range(MAX_METADATA_ENTRIES + 1)}
    ),
    "metadata bytes": pb.RpcEnvelope(request_id="r", metadata={"k": "v" * MAX_METADATA_BYTES}),
    "chain": pb.RpcEnvelope(request_id="r", call_chain=["r"] * (MAX_CALL_CHAIN + 1)),
    "id in the chain": pb.RpcEnvelope(request_id="r", call_chain=[ID + "x"]),
    "traceparent": pb.RpcEnvelope(request_id="r", traceparent="t" * (MAX_TRACEPARENT_CHARS + 1)),
    "tracestate": pb.RpcEnvelope(
        request_id="r", traceparent="t", tracestate="t" * (MAX_TRACESTATE_CHARS + 1)
    ),
    "smallest open number": pb.RpcEnvelope(request_id="r", call_number=3, low_water=4),
    "call number": pb.RpcEnvelope(request_id="r", call_number=1 << 63),
}


@pytest.mark.parametrize("payload", [b"", bytes(1 << 20)], ids=["short", "long"])
@pytest.mark.parametrize("message", RECEIVED.values(), ids=RECEIVED)
def test_what_is_over_a_bound_is_not_taken(message: pb.RpcEnvelope, payload: bytes) -> None:
    whole = pb.RpcEnvelope()
    whole.CopyFrom(message)
    whole.payload = payload
    with pytest.raises(RemoteProtocolError):
        decode_envelope(whole.SerializeToString())


BOMBS = {
    "empty metadata": b"\x32\x00" * (4 << 20),
    "metadata under one key": b"\x32\x05\x0a\x01k\x12\x00" * (1 << 20),
    "chains": b"\x72\x00" * (4 << 20),
    "details of an error": b"\x2a\x80\x80\x80\x04" + b"\x1a\x00" * (4 << 20),
    "opening again and again": b"\x52\x00" * (4 << 20),
    "fields that nobody knows": b"\xa2\x06\x00" * (2 << 20),
    "numbers that nobody knows": b"\xa0\x06\x00" * (2 << 20),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_before_anything_is_decoded(
    bomb: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    varint = bounds.read_varint

    def counted(data: bytes, offset: int) -> tuple[int, int]:
        read.append(offset)
        return varint(data, offset)

    monkeypatch.setattr(bounds, "read_varint", counted)
    with pytest.raises(RemoteProtocolError):
        check(b"\x0a\x01r" + bomb, ENVELOPE)
    assert len(read) <= 2 * MAX_FIELDS + 2


@pytest.mark.parametrize("bomb", [b"\x22\x00", b"\x32\x00", b"\x0a\x00"], ids=bytes.hex)
def test_a_chunk_has_bounds_too(bomb: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        check(b"\x0a\x01c" + bomb * UNSCANNED_BYTES, CHUNK)
    check(pb.StreamChunk(channel_id="c", data=bytes(1 << 20)).SerializeToString(), CHUNK)


def test_a_bomb_in_a_chunk_is_refused_before_it_is_decoded() -> None:
    entries_of_one_key = b"\x22\x05\x0a\x01k\x12\x00" * UNSCANNED_BYTES
    with pytest.raises(RemoteProtocolError, match="fields"):
        decode_chunk(b"\x0a\x01c" + entries_of_one_key)


@pytest.mark.parametrize("data", [b"\x12\x00", b"\x12\x01\x00", b"\x10"], ids=bytes.hex)
def test_a_direction_that_is_no_number_names_nobody(data: bytes) -> None:
    assert request_id_of(data) == ""
    assert request_id_of(b"\x0a\x01r" + data) in ("", "r")


@given(st.binary(max_size=60), st.integers(0, 4))
def test_noise_is_a_message_or_the_far_sides_fault(noise: bytes, times: int) -> None:
    long = noise + b"\x22" + b"\x80\x80\x02" + bytes(1 << 15) + noise * times
    with contextlib.suppress(RemoteProtocolError):
        check(long, ENVELOPE)
    request_id_of(noise)


@pytest.mark.parametrize(
    "short",
    [b"\x0a", b"\x0a\x05ab", b"\x09abc", b"\x0d", b"\x0b", b"\x0a" + b"\xff" * 11, b"\x10\xff"],
    ids=bytes.hex,
)
def test_what_is_cut_short_is_no_message(short: bytes) -> None:
    filler = pb.RpcEnvelope(payload=bytes(UNSCANNED_BYTES)).SerializeToString()
    with pytest.raises(RemoteProtocolError):
        check(filler + short, ENVELOPE)


def test_who_broke_a_rule_is_known_by_the_id_of_its_request() -> None:
    chain = pb.RpcEnvelope(request_id="r", call_chain=["c"] * 40, payload=bytes(100))
    assert request_id_of(chain.SerializeToString()) == "r"


@pytest.mark.parametrize(
    "data",
    [
        encode_request("r", "a.B.C", b"", is_tell=True),
        encode_reply("r", b""),
        encode_cancel("r"),
        pb.RpcEnvelope(request_id=ID + "x").SerializeToString(),
        pb.RpcEnvelope(route_key="a").SerializeToString(),
        b"\x0a\x01\xff",
        b"\x0a\x01r\x0b",
    ],
    ids=["a tell", "a reply", "a cancellation", "a long id", "no id", "not UTF-8", "no message"],
)
def test_what_cannot_be_answered_has_no_id(data: bytes) -> None:
    assert request_id_of(data) == ""


def test_a_chunk_that_breaks_a_rule_is_known_by_its_channel() -> None:
    crowded = pb.StreamChunk(channel_id="c", opening=300, metadata={str(n): "" for n in range(65)})
    data = crowded.SerializeToString()
    with pytest.raises(RemoteProtocolError):
        decode_chunk(data)
    assert channel_of(data) == ("c", 300)
    assert channel_of(pb.StreamChunk(channel_id="c").SerializeToString()) == ("c", 0)
    assert channel_of(pb.StreamChunk(channel_id=ID + "x").SerializeToString()) is None
    assert channel_of(b"\x0a\x01\xff") is None


@pytest.mark.parametrize(
    ("value", "expected"), [("é", True), ("", True), ("\ud800", False), (b"x", False), (7, False)]
)
def test_text_that_can_be_sent_is_text_without_half_a_surrogate_pair(
    value: object, expected: bool
) -> None:
    assert bounds.is_utf8(value) is expected


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ([("a", "b")], "a mapping of texts"),
        ("ab", "a mapping of texts"),
        ({1: "b"}, "without a zero"),
        ({"a": 2}, "without a zero"),
        ({"a": "\0"}, "without a zero"),
        ({"\ud800": "b"}, "UTF-8"),
    ],
)
def test_metadata_that_a_user_gives_are_texts_by_text(metadata: object, why: str) -> None:
    bounds.check_texts({"a": "b", "": "é"})
    with pytest.raises(LocalProtocolError, match=why):
        bounds.check_texts(metadata)
