"""Replies that JSON cannot say, or would take the loop too long for."""

from __future__ import annotations

import pytest
from connectrpc.errors import ConnectError
from google.protobuf.any_pb2 import Any
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import BytesValue

from actr_peer.cli.verbs.gateway.bounds import MAX_JSON_BYTES
from actr_peer.cli.verbs.gateway.endpoints import JsonCodec
from actr_peer.errors import Code


@pytest.mark.parametrize(
    "message",
    [Any(type_url="type.googleapis.com/no.Such", value=b"x"), Timestamp(seconds=1 << 60)],
)
def test_a_reply_that_json_cannot_say_is_an_error(message: Any | Timestamp) -> None:
    told: list[Code] = []
    with pytest.raises(ConnectError, match="cannot be said in JSON") as caught:
        JsonCodec(None, told.append).encode(message)
    assert (caught.value.code.value, told) == ("internal", [Code.INTERNAL])


def test_a_reply_that_is_too_long_for_json_is_refused() -> None:
    told: list[Code] = []
    codec = JsonCodec(None, told.append)
    with pytest.raises(ConnectError, match="use protobuf") as caught:
        codec.encode(BytesValue(value=bytes(MAX_JSON_BYTES)))
    assert caught.value.code.value == "resource_exhausted"
    assert told == [Code.RESOURCE_EXHAUSTED]
    assert codec.encode(BytesValue(value=b"abc")) == b'"YWJj"'
