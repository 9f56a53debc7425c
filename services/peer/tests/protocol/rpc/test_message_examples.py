"""The hex lines of docs/protocol/envelopes.md and streams.md are what this code makes and reads."""

from __future__ import annotations

import pytest

from actr import envelope_pb2 as pb
from actr_peer.errors import CallError, Code
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.envelopes import (
    Extras,
    decode_envelope,
    encode_cancel,
    encode_error,
    encode_reply,
    encode_request,
)
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
from peer_kit import ROOT

FOLDER = ROOT / "docs" / "protocol"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def examples(page: str) -> dict[str, bytes]:
    block = (FOLDER / page).read_text("utf-8").split("## Examples")[1].split("```")[1]
    lines = [line.split("  ", 1) for line in block.splitlines() if "  " in line]
    return {name: bytes.fromhex(digits) for name, digits in lines}


ENVELOPES = {
    "request": encode_request("r1", "demo.Chat.Say", b"\x0a\x03ann", timeout=30.0),
    "request, all of it": encode_request(
        "r1",
        "demo.Chat.Say",
        b"",
        timeout=1.5,
        metadata={"k": "v"},
        extras=Extras(traceparent=TRACE, tracestate="a=b", call_chain=("r0",)),
    ),
    "response": encode_reply("r1", b"\x08\x07"),
    "error": encode_error(
        "r1", CallError(Code.RESOURCE_EXHAUSTED, "full", retryable=True, retry_after=0.5)
    ),
    "tell": encode_request("t1", "demo.Chat.Say", b"", is_tell=True),
    "cancel": encode_cancel("r1"),
    "durable request": encode_request(
        "d1",
        "demo.Chat.Say",
        b"",
        timeout=30.0,
        extras=Extras(call_number=7, low_water=5, store_id=0x0123456789ABCDEF),
    ),
}
OPENINGS = {
    "opening, server stream": encode_request(
        "s1",
        "demo.Chat.Presence",
        b"",
        timeout=30.0,
        extras=Extras(channel_id="s1", credit=64, credit_bytes=1 << 20),
    ),
    "opening, client stream": encode_request(
        "s1", "demo.Chat.Upload", b"", extras=Extras(channel_id="s1")
    ),
}
WINDOW = Credit(64, 1 << 20)
CHUNKS: dict[str, tuple[bytes, Chunk]] = {
    "first grant": (
        encode_credit("s1", WINDOW),
        Chunk("s1", kind=Kind.CREDIT, credit=WINDOW),
    ),
    "item 0": (encode_item("s1", 0, b"hi"), Chunk("s1", 0, b"hi")),
    "item 1, with metadata": (
        encode_item("s1", 1, b"", {"k": "v"}),
        Chunk("s1", 1, metadata={"k": "v"}),
    ),
    "end after 2 items": (encode_end("s1", 2), Chunk("s1", 2, kind=Kind.END)),
    "cancel": (encode_stream_cancel("s1"), Chunk("s1", kind=Kind.CANCEL)),
    "named, item 0": (
        encode_item("telemetry", 0, b"hi", opening=7),
        Chunk("telemetry", 0, b"hi", opening=7),
    ),
    "named, grant": (
        encode_credit("telemetry", Credit(16, 592), opening=7),
        Chunk("telemetry", kind=Kind.CREDIT, credit=Credit(16, 592), opening=7),
    ),
}


def test_the_envelopes_on_the_page_are_those_that_are_made_and_they_decode():
    page = examples("envelopes.md")
    assert page == ENVELOPES
    for message in page.values():
        decode_envelope(message)
        assert pb.RpcEnvelope.FromString(message).SerializeToString() == message
    full = decode_envelope(page["request, all of it"])
    assert (full.timeout, full.call_chain, full.traceparent) == (1.5, ("r0",), TRACE)
    error = decode_envelope(page["error"]).error
    assert error is not None
    assert (error.code, error.retry_after) == (Code.RESOURCE_EXHAUSTED, 0.5)
    durable = decode_envelope(page["durable request"])
    assert (durable.call_number, durable.low_water) == (7, 5)


def test_the_openings_on_the_page_are_those_that_are_made_and_they_decode():
    page = examples("streams.md")
    for name, message in OPENINGS.items():
        assert page[name] == message
        assert decode_envelope(message).channel_id == "s1"
    assert decode_envelope(page["opening, server stream"]).credit_bytes == 1 << 20


def test_the_chunks_on_the_page_are_those_that_are_made_and_they_decode():
    page = {name: data for name, data in examples("streams.md").items() if name not in OPENINGS}
    failed = decode_chunk(page.pop("end with an error"))
    assert (failed.kind, failed.sequence) == (Kind.ERROR, 2)
    assert encode_end("s1", 2, failed.error) == bytes.fromhex(
        "0a0273311002320b080a12076e6f206d6f7265"
    )
    assert page.keys() == CHUNKS.keys()
    for name, (made, read) in CHUNKS.items():
        assert page[name] == made
        chunk = decode_chunk(made)
        assert chunk.size == len(made)
        chunk.size = 0
        assert chunk == read


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("acme:room@10:default", "acme:room@2:default"),
        ("Acme:a@1:default", "acme:a@1:default"),
        ("acme:room-1@1:default", "acme:room@1:default"),
    ],
)
def test_the_smaller_id_is_the_one_whose_text_comes_first(smaller: str, larger: str):
    assert ActrId.parse(smaller) < ActrId.parse(larger)
    assert smaller.encode() < larger.encode()
