"""Who may answer a call: nobody but the remote that was asked."""

from __future__ import annotations

import asyncio

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.envelopes import decode_envelope, encode_reply
from actr_peer.rpc.calls import PendingCalls

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


async def test_a_call_is_waited_for_until_it_is_closed() -> None:
    calls = PendingCalls()
    call = calls.open(EVE, "1", RPC, asyncio.get_running_loop())
    assert calls.waits_for(EVE)
    assert not calls.waits_for(BOB)
    calls.close(call)
    assert not calls.waits_for(EVE)
