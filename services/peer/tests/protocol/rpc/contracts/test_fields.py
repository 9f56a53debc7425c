"""What kind of value a field holds."""

from __future__ import annotations

import pytest

from actr.demo import chat_pb2 as pb
from actr.envelope_pb2 import RpcEnvelope
from actr_peer.protocol.rpc.contracts.fields import is_scalar


@pytest.mark.parametrize(
    ("message", "name", "is_one"),
    [
        (pb.SayRequest, "text", True),
        (pb.SayReply, "number", True),
        (RpcEnvelope, "payload", True),
        (RpcEnvelope, "direction", True),
        (RpcEnvelope, "stream", False),
        (RpcEnvelope, "call_chain", False),
    ],
    ids=["string", "number", "bytes", "enum", "message", "repeated"],
)
def test_a_scalar_is_one_number_text_or_enum(message: type, name: str, *, is_one: bool) -> None:
    assert is_scalar(message.DESCRIPTOR.fields_by_name[name]) is is_one  # type: ignore[attr-defined]
