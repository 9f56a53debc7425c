"""Who may answer a durable call, and when: the remote that was asked, once it is on disk."""

from __future__ import annotations

from typing import Any

import pytest

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.mailbox.outbox.call import CallState
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.envelopes import decode_envelope, encode_reply
from actr_peer.rpc.durable import DurableCalls
from actr_peer.state.outbox.call import DurableCall

BOB, EVE = ActrId("acme", "bob", "1"), ActrId("acme", "eve", "1")
MESSAGE = encode_reply("id", b"reply")


class OneCall:
    """An outbox with one open call."""

    def __init__(self) -> None:
        self.call = DurableCall(
            call_key="key",
            remote=BOB.text,
            request_id="id",
            payload_type=PayloadType.RPC_RELIABLE,
            route_key="demo.Chat.Say",
            state=CallState.OPEN,
        )
        self.answers: list[tuple[str, bytes]] = []

    def find(self, request_id: str) -> DurableCall | None:
        return self.call if request_id == "id" and not self.answers else None

    def resolve(self, request_id: str, reply: bytes) -> bool:
        self.answers.append((request_id, reply))
        return True


@pytest.fixture
def outbox() -> OneCall:
    return OneCall()


@pytest.fixture
def durable(outbox: OneCall) -> DurableCalls:
    unused: Any = None
    return DurableCalls(outbox, unused)  # type: ignore[arg-type]


def test_a_reply_of_a_third_peer_answers_no_durable_call(
    durable: DurableCalls, outbox: OneCall
) -> None:
    assert not durable.resolve(EVE, decode_envelope(MESSAGE), MESSAGE)
    assert outbox.answers == []
    assert durable.resolve(BOB, decode_envelope(MESSAGE), MESSAGE)
    assert outbox.answers == [("id", MESSAGE)]


def test_a_call_that_is_not_on_disk_has_no_reply(durable: DurableCalls, outbox: OneCall) -> None:
    outbox.call.state = CallState.STORING
    assert not durable.resolve(BOB, decode_envelope(MESSAGE), MESSAGE)
    assert outbox.answers == []


def test_a_second_reply_changes_nothing(durable: DurableCalls, outbox: OneCall) -> None:
    assert durable.resolve(BOB, decode_envelope(MESSAGE), MESSAGE)
    assert not durable.resolve(BOB, decode_envelope(MESSAGE), MESSAGE)
    assert len(outbox.answers) == 1
