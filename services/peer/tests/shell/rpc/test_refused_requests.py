"""Who sends a request that breaks a bound is told so."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from actr import envelope_pb2 as pb
from actr_peer.errors import Code
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.envelopes import decode_envelope
from actr_peer.rpc.dispatch import Dispatcher, Routes
from peer_kit.links import BOB


class OneLink:
    """Notes what is answered by it."""

    remote = BOB
    is_shut = False
    max_message_bytes = 1 << 24

    def __init__(self) -> None:
        self.said: list[bytes] = []

    def acknowledge(self, *_: object) -> None:
        pass

    def lane(self, _: PayloadType) -> OneLink:
        return self

    def answer(self, message: bytes) -> None:
        self.said.append(message)


def test_a_caller_whose_request_breaks_a_bound_is_told_so() -> None:
    link = OneLink()
    routes: dict[str, Any] = dict.fromkeys(
        (field.name for field in fields(Routes)), lambda *_: None
    )
    message = pb.RpcEnvelope(request_id="id 0", call_chain=["r"] * 40).SerializeToString()
    dispatcher = Dispatcher(Routes(**routes))
    dispatcher.message(link, PayloadType.RPC_RELIABLE, message, 0)  # type: ignore[arg-type]
    (reply,) = map(decode_envelope, link.said)
    assert reply.request_id == "id 0"
    assert reply.error is not None
    assert reply.error.code is Code.INVALID_ARGUMENT
