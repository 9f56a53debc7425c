"""Tells that are refused for their contract: settled where they were sent, within bounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatService
from actr_peer.errors import BrokenError, CallError, Code, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.contracts.refusals import refusal
from actr_peer.protocol.rpc.envelopes import (
    Envelope,
    decode_envelope,
    encode_error,
    encode_reply,
    encode_request,
)
from actr_peer.rpc.destinations import tells as module
from actr_peer.rpc.destinations.contracts import MAX_REFUSALS, Contracts
from actr_peer.rpc.destinations.tells import Tell, Tells

ROOM, OTHER = ActrId("acme", "room", "1"), ActrId("acme", "room", "2")
SAY = ChatService.SAY
LIKE = replace(SAY, request=pb.KickRequest)
URGENT = replace(SAY, payload_type=PayloadType.RPC_SIGNAL)


class FakeTransport:
    """Keeps what is posted."""

    def __init__(self) -> None:
        self.posted: list[Envelope] = []
        self.error: PeerError | None = None

    def link(self, remote: ActrId) -> FakeTransport:
        return self

    def lane(self, payload_type: PayloadType) -> FakeTransport:
        return self

    def post(self, message: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.posted.append(decode_envelope(message))


class Bench:
    def __init__(self) -> None:
        self.transport = FakeTransport()
        self.failed: list[PeerError] = []
        self.contracts = Contracts()
        self.tells = Tells(cast(Any, self.transport), self.contracts, self.failed.append)

    def tell(self, name: str, method: Any = LIKE, payload: bytes = b"hello") -> None:
        number = self.contracts.number(ROOM, method)
        message = encode_request(name, SAY.route_key, payload, is_tell=True, contract=number)
        self.tells.sent(name, Tell(ROOM, method, message))

    def refuse(self, name: str, theirs: Any = SAY, remote: ActrId = ROOM) -> bool:
        error = refusal(SAY.route_key, theirs.form)
        assert error is not None
        return self.tells.resolve(remote, decode_envelope(encode_error(name, error)))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_one_of_a_contract_that_is_as_good_goes_out_again_with_the_callees_number(
    bench: Bench,
) -> None:
    bench.tell("a")
    assert bench.refuse("a")
    (again,) = bench.transport.posted
    assert (again.request_id, again.payload, again.contract) == ("a", b"hello", SAY.contract)
    assert (bench.tells.lost, bench.failed) == (0, [])


def test_one_of_another_contract_is_lost_and_its_sender_hears_of_it(bench: Bench) -> None:
    bench.tell("a", SAY)
    assert bench.refuse("a", URGENT)
    (error,) = bench.failed
    assert isinstance(error, CallError)
    assert error.code is Code.FAILED_PRECONDITION
    assert "another contract at acme:room@1:default" in str(error)
    assert (bench.tells.lost, len(bench.tells), bench.transport.posted) == (1, 0, [])


def test_one_whose_link_is_gone_meanwhile_is_lost_and_told(bench: Bench) -> None:
    bench.tell("a")
    bench.transport.error = BrokenError("gone")
    assert bench.refuse("a")
    assert (bench.tells.lost, bench.failed) == (1, [bench.transport.error])


def test_a_callee_that_refuses_what_it_tells_is_not_asked_for_ever(bench: Bench) -> None:
    bench.tell("a")
    for _ in range(MAX_REFUSALS + 1):
        assert bench.refuse("a")
    assert len(bench.transport.posted) == MAX_REFUSALS
    assert bench.tells.lost == 1
    assert not bench.refuse("a")


def test_only_the_one_that_was_told_may_refuse(bench: Bench) -> None:
    bench.tell("a")
    assert not bench.refuse("a", remote=OTHER)
    assert not bench.refuse("b")
    assert bench.transport.posted == []


def test_another_answer_ends_it(bench: Bench) -> None:
    bench.tell("a")
    assert bench.tells.resolve(ROOM, decode_envelope(encode_reply("a", b"")))
    bench.tell("b")
    error = CallError(Code.UNIMPLEMENTED, "no such method")
    assert bench.tells.resolve(ROOM, decode_envelope(encode_error("b", error)))
    assert (bench.tells.lost, len(bench.tells)) == (1, 0)


def test_they_are_bounded_in_number_and_bytes_and_the_newest_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_TELLS", 3)
    for number in range(5):
        bench.tell(str(number))
    assert len(bench.tells) == 3
    assert not bench.refuse("1")
    assert bench.refuse("2")
    bench.tell("long", payload=bytes(2 * module.MAX_BYTES))
    assert len(bench.tells) == 1
    assert bench.refuse("long")
    bench.tell("next")
    assert len(bench.tells) == 1


def test_of_those_on_their_way_each_is_told_what_keeps_it_from_being_taken(bench: Bench) -> None:
    for name in ("a", "b"):
        bench.tell(name, SAY)
    for name in ("a", "b"):
        assert bench.refuse(name, URGENT)
    assert bench.tells.lost == 2
    assert [str(error) for error in bench.failed] == [str(bench.failed[0])] * 2
