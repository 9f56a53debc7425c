"""What is remembered of contracts that are not the own: whom of, for how long, how many."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatService
from actr_peer.errors import CallError, Code
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.contracts.refusals import refusal
from actr_peer.rpc.destinations import contracts
from actr_peer.rpc.destinations.contracts import MAX_REFUSALS, Contracts
from actr_peer.service import Method

SAY = ChatService.SAY
LIKE: Method[pb.KickRequest, pb.SayReply] = replace(SAY, request=pb.KickRequest)  # type: ignore[arg-type]
"""Another form, and no difference: two texts each."""
URGENT = replace(SAY, payload_type=PayloadType.RPC_SIGNAL)
ROOM, OTHER = (ActrId("acme", "room", number, "default") for number in "12")


def refused(method: Method[pb.SayRequest, pb.SayReply]) -> CallError:
    error = refusal(method.route_key, method.form)
    assert error is not None
    return error


def test_a_call_carries_the_number_of_its_contract() -> None:
    assert Contracts().number(ROOM, SAY) == SAY.contract != LIKE.contract
    assert 0 < SAY.contract < 1 << 64


def test_where_another_contract_is_as_good_calls_go_on_with_the_callees_number() -> None:
    known = Contracts()
    call = known.agree(ROOM, LIKE)
    assert call.number == LIKE.contract
    assert call.renew(refused(SAY))
    assert call.number == known.number(ROOM, LIKE) == SAY.contract
    assert known.number(OTHER, LIKE) == LIKE.contract
    assert known.number(ROOM, ChatService.KICK) == ChatService.KICK.contract


def test_where_it_is_not_this_call_and_all_later_ones_are_refused_with_the_method() -> None:
    known = Contracts()
    words = r"demo\.Chat\.Say has another contract at acme:room@1:default: it is RPC_SIGNAL there"
    with pytest.raises(CallError, match=words) as first:
        known.agree(ROOM, SAY).renew(refused(URGENT))
    with pytest.raises(CallError, match=words) as again:
        known.agree(ROOM, SAY)
    assert first.value.code is again.value.code is Code.FAILED_PRECONDITION
    assert first.value is not again.value
    assert known.agree(OTHER, SAY).number == SAY.contract


def test_a_callee_that_is_another_one_since_is_found_out_anew() -> None:
    """Calls on their way to a process that has restarted carry what they were told before."""
    known = Contracts()
    call = known.agree(ROOM, LIKE)
    assert call.renew(refused(SAY))
    with pytest.raises(CallError, match="RPC_SIGNAL there"):
        call.renew(refused(URGENT))
    with pytest.raises(CallError, match="RPC_SIGNAL there"):
        known.number(ROOM, LIKE)


def test_who_refuses_what_it_tells_is_not_called_for_ever() -> None:
    call = Contracts().agree(ROOM, LIKE)
    assert all(call.renew(refused(SAY)) for _ in range(MAX_REFUSALS))
    with pytest.raises(CallError, match="it refuses also the one that it tells"):
        call.renew(refused(SAY))


def test_what_ends_a_call_that_was_taken_is_no_refusal() -> None:
    known = Contracts()
    call = known.agree(ROOM, SAY)
    assert not call.renew(CallError(Code.FAILED_PRECONDITION, "cycle"))
    call.is_taken = True
    assert not call.renew(refused(URGENT))
    assert len(known) == 0


def test_nothing_of_a_call_that_was_refused_is_kept() -> None:
    """An error that is kept would keep the frames that it was raised in, and all that they hold."""

    class Request:
        pass

    def call() -> weakref.ref[Request]:
        request = Request()
        with pytest.raises(CallError):
            known.agree(ROOM, SAY).renew(refused(URGENT))
        return weakref.ref(request)

    known = Contracts()
    held = call()
    gc.collect()
    assert held() is None
    assert len(known) == 1


def test_another_process_of_a_remote_is_asked_anew() -> None:
    known = Contracts()
    for remote in (ROOM, OTHER):
        assert known.agree(remote, LIKE).renew(refused(SAY))
    known.forget(ROOM)
    assert (known.number(ROOM, LIKE), known.number(OTHER, LIKE)) == (LIKE.contract, SAY.contract)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contracts, "MAX_HELD", 1)
    known = Contracts()
    for remote in (ROOM, OTHER):
        assert known.agree(remote, LIKE).renew(refused(SAY))
    assert len(known) == 1
    assert known.number(ROOM, LIKE) == LIKE.contract
