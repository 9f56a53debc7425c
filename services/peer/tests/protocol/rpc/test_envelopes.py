from __future__ import annotations

import contextlib

import pytest
from google.protobuf.any_pb2 import Any
from hypothesis import given
from hypothesis import strategies as st

from actr import envelope_pb2 as pb
from actr_peer.errors import CallError, Code, LimitError, RemoteProtocolError
from actr_peer.protocol.rpc.envelopes import (
    CANCEL,
    MAX_CALL_CHAIN,
    MAX_METADATA_BYTES,
    MAX_METADATA_ENTRIES,
    MAX_TIMEOUT,
    REQUEST,
    RESPONSE,
    TELL,
    Extras,
    contract_of,
    decode_envelope,
    encode_cancel,
    encode_error,
    encode_reply,
    encode_request,
    with_contract,
)
from actr_peer.protocol.streams.chunks import (
    Credit,
    Kind,
    decode_chunk,
    encode_credit,
    encode_end,
    encode_item,
    encode_stream_cancel,
)


def test_a_request_comes_back_as_it_was_written():
    extras = Extras(
        traceparent="00-aa-bb-01",
        tracestate="k=v",
        channel_id="c1",
        credit=64,
        call_number=7,
        low_water=3,
        store_id=99,
        call_chain=("r0",),
    )
    data = encode_request(
        "r1", "demo.Chat.Say", b"body", timeout=1.5, metadata={"a": "b"}, extras=extras
    )
    envelope = decode_envelope(data)
    assert (envelope.request_id, envelope.route_key) == ("r1", "demo.Chat.Say")
    assert envelope.direction == REQUEST
    assert envelope.payload == b"body"
    assert envelope.timeout == 1.5
    assert envelope.metadata == {"a": "b"}
    assert (envelope.traceparent, envelope.tracestate) == ("00-aa-bb-01", "k=v")
    assert envelope.opens_stream
    assert (envelope.channel_id, envelope.credit) == ("c1", 64)
    assert (envelope.call_number, envelope.low_water, envelope.store_id) == (7, 3, 99)
    assert envelope.call_chain == ("r0",)


@pytest.mark.parametrize(
    ("data", "direction"),
    [
        pytest.param(encode_request("r", "a.B.C", b"", is_tell=True), TELL, id="tell"),
        pytest.param(encode_reply("r", b"x"), RESPONSE, id="reply"),
        pytest.param(encode_cancel("r"), CANCEL, id="cancel"),
    ],
)
def test_the_direction_is_kept(data: bytes, direction: int):
    assert decode_envelope(data).direction == direction


def test_a_short_rest_of_a_deadline_does_not_become_none():
    assert decode_envelope(encode_request("r", "a.B.C", b"", timeout=0.0001)).timeout == 0.001


def test_a_deadline_of_a_month_is_cut_to_a_day():
    data = pb.RpcEnvelope(request_id="r", timeout_ms=2**32 - 1).SerializeToString()
    assert decode_envelope(data).timeout == MAX_TIMEOUT


def test_an_error_keeps_code_details_and_retry_after():
    error = CallError(
        Code.RESOURCE_EXHAUSTED, "full", retryable=True, retry_after=0.5, domain="acme"
    )
    back = decode_envelope(encode_error("r", error)).error
    assert back is not None
    assert (back.code, back.message) == (Code.RESOURCE_EXHAUSTED, "full")
    assert (back.retryable, back.retry_after, back.domain) == (True, 0.5, "acme")


def test_an_unknown_error_code_becomes_unknown():
    message = pb.RpcEnvelope(request_id="r", direction=pb.RESPONSE, error=pb.RpcError(code=77))
    error = decode_envelope(message.SerializeToString()).error
    assert error is not None
    assert error.code is Code.UNKNOWN


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(pb.RpcEnvelope(), id="no request id"),
        pytest.param(pb.RpcEnvelope(request_id="x" * 65), id="long request id"),
        pytest.param(pb.RpcEnvelope(request_id="r", route_key="x" * 257), id="long route key"),
        pytest.param(
            pb.RpcEnvelope(request_id="r", call_chain=["x"] * (MAX_CALL_CHAIN + 1)),
            id="long call chain",
        ),
        pytest.param(
            pb.RpcEnvelope(
                request_id="r", metadata={str(i): "" for i in range(MAX_METADATA_ENTRIES + 1)}
            ),
            id="many metadata entries",
        ),
        pytest.param(pb.RpcEnvelope(request_id="r", call_number=1 << 63), id="call number"),
        pytest.param(
            pb.RpcEnvelope(request_id="r", call_number=1, low_water=1 << 63), id="low water"
        ),
    ],
)
def test_an_envelope_out_of_bounds_is_the_far_sides_fault(message: pb.RpcEnvelope):
    with pytest.raises(RemoteProtocolError):
        decode_envelope(message.SerializeToString())


def test_too_much_metadata_is_refused_before_it_is_sent():
    with pytest.raises(LimitError):
        encode_request("r", "a.B.C", b"", metadata={"k": "v" * MAX_METADATA_BYTES})


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_the_far_sides_fault(data: bytes):
    for decode in (decode_envelope, decode_chunk):
        with contextlib.suppress(RemoteProtocolError):
            decode(data)


def test_an_item_of_a_stream_comes_back_as_it_was_written():
    chunk = decode_chunk(encode_item("c", 5, b"data", {"k": "v"}))
    assert chunk.is_item
    assert (chunk.channel_id, chunk.sequence, chunk.data) == ("c", 5, b"data")
    assert chunk.metadata == {"k": "v"}


def test_word_about_a_stream_is_no_item():
    end = decode_chunk(encode_end("c", 9))
    assert end.kind is Kind.END
    assert end.sequence == 9
    failed = decode_chunk(encode_end("c", 9, CallError(Code.ABORTED, "no")))
    assert failed.error is not None
    assert failed.error.code is Code.ABORTED
    assert decode_chunk(encode_stream_cancel("c")).kind is Kind.CANCEL
    grant = decode_chunk(encode_credit("c", Credit(64, 1000), opening=3))
    assert (grant.credit, grant.opening) == (Credit(64, 1000), 3)
    nothing = decode_chunk(encode_credit("c", Credit(0, 0)))
    assert not any(chunk.is_item for chunk in (end, failed, grant, nothing))


@pytest.mark.parametrize("word", ["end", "cancel"])
def test_a_word_that_is_present_and_false_is_said_all_the_same(word: str):
    message = pb.StreamChunk(channel_id="c", **{word: False})
    assert not decode_chunk(message.SerializeToString()).is_item


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(CallError(Code.UNAVAILABLE, "x", retry_after=-1.0), id="a time before now"),
        pytest.param(CallError(Code.UNAVAILABLE, "x", retry_after=50 * 86400.0), id="50 days"),
        pytest.param(CallError(Code.INTERNAL, "x", details=(b"\xff",)), id="details that are none"),
        pytest.param(CallError(Code.NOT_FOUND, "caf\udce9"), id="a text that is none"),
        pytest.param(CallError(Code.NOT_FOUND, b"x"), id="a text of bytes"),  # type: ignore[arg-type]
    ],
)
def test_the_end_of_a_stream_is_said_whatever_a_handler_raised(error: CallError):
    chunk = decode_chunk(encode_end("c", 3, error))
    assert chunk.kind is Kind.ERROR
    assert chunk.error is not None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff", "undecodable"),
        (pb.RpcEnvelope(request_id="r", direction=9).SerializeToString(), "direction 9"),  # type: ignore[arg-type]
        (pb.RpcEnvelope(request_id="r", direction=-1).SerializeToString(), "direction -1"),  # type: ignore[arg-type]
    ],
    ids=["noise", "a direction that nobody knows", "one below all"],
)
def test_what_is_no_envelope_is_refused(data: bytes, why: str):
    with pytest.raises(RemoteProtocolError, match=why):
        decode_envelope(data)


def test_the_details_of_an_error_arrive():
    detail = pb.RpcError(code=3, message="inner")
    packed = Any()
    packed.Pack(detail)
    error = CallError(Code.ABORTED, "no", details=(packed.SerializeToString(),))
    [arrived] = decode_envelope(encode_error("r1", error)).error.details
    assert Any.FromString(arrived) == packed


def test_a_request_gets_another_number_of_its_contract_and_stays_as_it_was() -> None:
    request = encode_request("id", "demo.Chat.Say", b"x", is_tell=True, contract=7)
    again = decode_envelope(with_contract(request, 1 << 63))
    assert (again.contract, again.direction, again.payload) == (1 << 63, TELL, b"x")
    assert decode_envelope(with_contract(request, 0)).contract == 0
    assert contract_of(request) == 7
