"""One item of a stream or word about it: what is refused on the way out, and on the way in."""

from __future__ import annotations

from typing import Any

import pytest

from actr import envelope_pb2 as pb
from actr_peer.errors import LimitError, LocalProtocolError, RemoteProtocolError
from actr_peer.protocol.rpc.bounds import MAX_ID_CHARS
from actr_peer.protocol.streams.chunks import check_channel_id, decode_chunk, encode_item


def test_the_name_of_a_channel_is_text_of_bounded_length() -> None:
    check_channel_id("c" * MAX_ID_CHARS)
    check_channel_id("é")
    with pytest.raises(LimitError, match="channel id"):
        check_channel_id("c" * (MAX_ID_CHARS + 1))
    with pytest.raises(LocalProtocolError, match="must have a character"):
        check_channel_id("")
    with pytest.raises(LocalProtocolError, match="UTF-8"):
        check_channel_id("\ud800")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff", "undecodable"),
        (pb.StreamChunk().SerializeToString(), "0 characters"),
        (pb.StreamChunk(channel_id="c" * 65).SerializeToString(), "65 characters"),
    ],
    ids=["noise", "no channel", "a long name"],
)
def test_what_is_no_chunk_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(RemoteProtocolError, match=why):
        decode_chunk(data)


@pytest.mark.parametrize("data", [None, "text", bytearray(b"x" * 100_000)], ids=type)
def test_an_item_is_bytes(data: Any) -> None:
    with pytest.raises(LocalProtocolError, match="an item is bytes, not "):
        encode_item("c", 0, data)


def test_an_item_says_when_it_was_sent_where_that_matters() -> None:
    timed = decode_chunk(encode_item("c", 7, b"late?", sent_at=1_700_000_000))
    assert timed.sent_at == 1_700_000_000
    assert decode_chunk(encode_item("c", 7, b"whenever")).sent_at == 0
