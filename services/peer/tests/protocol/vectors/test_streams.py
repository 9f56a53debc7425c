"""Openings and chunks of streams, as ``proto/vectors/streams.json`` has them."""

from __future__ import annotations

from typing import Any

import pytest

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.rpc.bounds import channel_of
from actr_peer.protocol.rpc.envelopes import decode_envelope
from actr_peer.protocol.streams.chunks import (
    Chunk,
    Credit,
    Kind,
    decode_chunk,
    encode_credit,
    encode_end,
    encode_item,
    encode_stream_cancel,
)
from peer_kit.vectors import Vector, each, envelopes


def write(fields: dict[str, Any]) -> bytes:
    """The chunk as this side makes it."""
    name, opening = fields["channel_id"], fields.get("opening", 0)
    sequence = fields.get("sequence", 0)
    match fields.get("word"):
        case None:
            data, metadata = bytes.fromhex(fields.get("data", "")), fields.get("metadata", {})
            return encode_item(name, sequence, data, metadata, opening=opening)
        case "credit":
            credit = Credit(fields["messages"], fields["bytes"])
            return encode_credit(name, credit, opening=opening)
        case "cancel":
            return encode_stream_cancel(name, opening=opening)
        case _:
            error = envelopes.error_of(fields["error"]) if "error" in fields else None
            return encode_end(name, sequence, error, opening=opening)


def fields_of(chunk: Chunk) -> dict[str, Any]:
    """The fields that are set."""
    read: dict[str, Any] = {
        "channel_id": chunk.channel_id,
        "sequence": chunk.sequence,
        "data": chunk.data.hex(),
        "metadata": dict(chunk.metadata),
        "opening": chunk.opening,
        "word": "" if chunk.kind is Kind.ITEM else chunk.kind.name.lower(),
        "error": chunk.error and envelopes.fields_of_error(chunk.error),
    }
    filled = {name: value for name, value in read.items() if value}
    if chunk.kind is Kind.CREDIT:
        filled |= {"messages": chunk.credit.items, "bytes": chunk.credit.size}
    return filled


@each("streams", "openings")
def test_an_opening_is_these_fields_and_these_bytes(vector: Vector) -> None:
    opening = decode_envelope(bytes.fromhex(vector["hex"]))
    assert opening.opens_stream
    assert envelopes.fields_of(opening) == vector["fields"]
    assert envelopes.write(vector["fields"]).hex() == vector["hex"]


@each("streams", "chunks")
def test_a_chunk_is_these_fields_and_these_bytes(vector: Vector) -> None:
    chunk = decode_chunk(bytes.fromhex(vector["hex"]))
    assert fields_of(chunk) == vector["fields"]
    assert 2 * chunk.size == len(vector["hex"])
    assert write(vector["fields"]).hex() == vector["hex"]


@each("streams", "other_forms")
def test_what_protobuf_allows_is_read_by_presence(vector: Vector) -> None:
    assert fields_of(decode_chunk(bytes.fromhex(vector["hex"]))) == vector["fields"]


@each("streams", "malformed")
def test_a_malformed_chunk_is_refused_on_its_channel_where_that_is_known(vector: Vector) -> None:
    data = bytes.fromhex(vector["hex"])
    with pytest.raises(RemoteProtocolError, match=vector["error"]):
        decode_chunk(data)
    channel = vector["channel"]
    assert channel_of(data) == ((channel, vector["opening"]) if channel else None)
