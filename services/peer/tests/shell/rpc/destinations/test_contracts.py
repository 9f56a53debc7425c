"""What is remembered of contracts that are not the own: whom of, for how long, how many."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actr_peer.errors import CallError, Code
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.contracts.refusals import refusal
from actr_peer.rpc.destinations import contracts
from actr_peer.rpc.destinations.contracts import Contracts
from actr_peer.service import Method
from demo import chat_pb2 as pb
from demo.chat_actr import ChatService

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


def test_where_another_contract_is_as_good_calls_go_on_without_a_number() -> None:
    known = Contracts()
    assert known.settle(ROOM, LIKE, LIKE.contract, refused(SAY))
    assert known.number(ROOM, LIKE) == 0
    assert known.number(OTHER, LIKE) == LIKE.contract
    assert known.number(ROOM, ChatService.KICK) == ChatService.KICK.contract


def test_where_it_is_not_this_call_and_all_later_ones_are_refused_with_the_method() -> None:
    known = Contracts()
    words = r"demo\.Chat\.Say has another contract at acme:room@1:default: it is RPC_SIGNAL there"
    with pytest.raises(CallError, match=words) as first:
        known.settle(ROOM, SAY, SAY.contract, refused(URGENT))
    with pytest.raises(CallError, match=words) as again:
        known.number(ROOM, SAY)
    with pytest.raises(CallError, match=words):
        known.check(ROOM, SAY)
    assert first.value.code is again.value.code is Code.FAILED_PRECONDITION
    assert first.value is not again.value
    known.check(OTHER, SAY)
    Contracts().check(ROOM, SAY)


def test_an_error_of_a_call_that_carried_no_number_is_the_handlers_own() -> None:
    known = Contracts()
    assert not known.settle(ROOM, SAY, 0, refused(URGENT))
    assert not known.settle(ROOM, SAY, SAY.contract, CallError(Code.FAILED_PRECONDITION, "cycle"))
    assert len(known) == 0


def test_another_process_of_a_remote_is_asked_anew() -> None:
    known = Contracts()
    for remote in (ROOM, OTHER):
        assert known.settle(remote, LIKE, LIKE.contract, refused(SAY))
    known.forget(ROOM)
    assert (known.number(ROOM, LIKE), known.number(OTHER, LIKE)) == (LIKE.contract, 0)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contracts, "MAX_HELD", 1)
    known = Contracts()
    for remote in (ROOM, OTHER):
        assert known.settle(remote, LIKE, LIKE.contract, refused(SAY))
    assert len(known) == 1
    assert known.number(ROOM, LIKE) == LIKE.contract
