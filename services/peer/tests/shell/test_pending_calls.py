"""Who may answer a call: nobody but the remote that was asked."""

from __future__ import annotations

import asyncio

import pytest

from actr_peer.errors import BrokenError
from actr_peer.outbound.calls import PendingCalls
from actr_peer.protocol.envelopes import decode_envelope, encode_reply
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType

BOB, EVE = ActrId("acme", "bob", "1"), ActrId("acme", "eve", "1")
RPC = PayloadType.RPC_RELIABLE
REPLY = decode_envelope(encode_reply("id", b"first"))


async def test_a_reply_of_a_third_peer_answers_no_call() -> None:
    calls = PendingCalls()
    call = calls.open(BOB, "id", RPC, asyncio.get_running_loop())
    assert not calls.resolve(EVE, REPLY)
    assert not call.future.done()
    assert calls.resolve(ActrId("acme", "bob", "1"), REPLY)
    assert (await call.future).payload == b"first"


async def test_a_call_is_answered_once() -> None:
    calls = PendingCalls()
    call = calls.open(BOB, "id", RPC, asyncio.get_running_loop())
    assert calls.resolve(BOB, REPLY)
    assert not calls.resolve(BOB, decode_envelope(encode_reply("id", b"second")))
    assert (await call.future).payload == b"first"


async def test_the_loss_of_a_remote_fails_its_calls_and_no_others() -> None:
    calls = PendingCalls()
    loop = asyncio.get_running_loop()
    lost, other = calls.open(BOB, "1", RPC, loop), calls.open(EVE, "2", RPC, loop)
    calls.fail_remote(BOB, BrokenError("gone"))
    with pytest.raises(BrokenError):
        await lost.future
    assert not other.future.done()
    assert calls.waits_for(EVE)
