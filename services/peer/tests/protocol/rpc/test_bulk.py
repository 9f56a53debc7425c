"""Long items and payloads: written and read past the library, and the same on the wire as by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr import envelope_pb2 as pb
from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.rpc.bulk import BULK_BYTES, append, cut_out, is_bulk
from actr_peer.protocol.rpc.envelopes import decode_envelope, encode_reply, encode_request
from actr_peer.protocol.streams.chunks import decode_chunk, encode_item

SIZES = (0, 1, BULK_BYTES - 1, BULK_BYTES, 16 * 1024, 16 * 1024 + 1, 65_536, 1 << 21)


@pytest.mark.parametrize("size", SIZES)
def test_an_item_of_any_size_is_what_the_library_writes_and_reads(size: int) -> None:
    data = bytes(n & 0xFF for n in range(size))
    written = encode_item("c", 7, data, {"k": "v"}, opening=3, sent_at=9)
    message = pb.StreamChunk.FromString(written)
    assert message.data == data
    by_library = pb.StreamChunk(
        channel_id="c", sequence=7, data=data, metadata={"k": "v"}, opening=3, sent_at=9
    )
    assert message == by_library
    for one in (written, by_library.SerializeToString()):
        chunk = decode_chunk(one)
        assert (chunk.channel_id, chunk.sequence, chunk.data) == ("c", 7, data)
        assert (dict(chunk.metadata), chunk.opening, chunk.sent_at) == ({"k": "v"}, 3, 9)
        assert chunk.size == len(one)


@pytest.mark.parametrize("size", SIZES)
def test_a_request_and_a_reply_of_any_size_are_what_the_library_writes_and_reads(size: int) -> None:
    payload = bytes(n & 0xFF for n in range(size))
    request = pb.RpcEnvelope(
        request_id="r", route_key="a.B/C", payload=payload, timeout_ms=2000, metadata={"k": "v"}
    )
    written = encode_request("r", "a.B/C", payload, timeout=2.0, metadata={"k": "v"})
    assert pb.RpcEnvelope.FromString(written) == request
    reply = pb.RpcEnvelope(request_id="r", direction=pb.RESPONSE, payload=payload)
    replied = encode_reply("r", payload)
    assert pb.RpcEnvelope.FromString(replied) == reply
    for one in (written, request.SerializeToString()):
        envelope = decode_envelope(one)
        assert (envelope.request_id, envelope.route_key) == ("r", "a.B/C")
        assert (envelope.payload, envelope.timeout) == (payload, 2.0)
        assert dict(envelope.metadata) == {"k": "v"}
    for one in (replied, reply.SerializeToString()):
        assert decode_envelope(one).payload == payload


@given(st.binary(max_size=40), st.integers(0, 40))
def test_what_is_cut_out_leaves_the_rest_as_it_was(rest: bytes, at: int) -> None:
    at = min(at, len(rest))
    field = append(b"", 3, bytes(BULK_BYTES))
    message = rest[:at] + field + rest[at:]
    fields = [(9, at, at), (3, at + len(field) - BULK_BYTES, at + len(field))]
    assert cut_out(message, 3, fields) == (rest, bytes(BULK_BYTES))


def test_a_tag_that_is_written_in_an_odd_way_is_for_the_library() -> None:
    head = pb.StreamChunk(channel_id="c", sequence=1).SerializeToString()
    odd = head + b"\x9a\x00" + append(b"", 3, bytes(20_000))[1:]
    assert decode_chunk(odd).data == bytes(20_000)


def test_a_number_where_the_data_should_be_is_no_data() -> None:
    head = pb.StreamChunk(channel_id="c", sequence=1).SerializeToString()
    padding = b"\x7a" + append(b"", 3, bytes(20_000))[1:]
    assert decode_chunk(head + b"\x18\x05" + padding).data == b""


def test_data_that_comes_twice_is_refused() -> None:
    twice = append(append(b"\x0a\x01c", 3, bytes(20_000)), 3, bytes(20_000))
    with pytest.raises(RemoteProtocolError, match="field 3"):
        decode_chunk(twice)


def test_other_types_than_bytes_are_for_the_library() -> None:
    assert is_bulk(bytes(BULK_BYTES))
    assert not is_bulk(bytes(BULK_BYTES - 1))
    assert not is_bulk(bytearray(BULK_BYTES))
