"""How a WebSocket wire begins, as ``proto/vectors/handshakes.json`` has it."""

from __future__ import annotations

import re

import pytest

from actr.envelope_pb2 import WireHandshake
from actr_peer.errors import PeerError, RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.websocket.handshake import (
    Accepted,
    DiallerHandshake,
    ListenerHandshake,
    Refused,
    Reply,
)
from actr_peer.protocol.websocket.upgrade import Accept, Refusal, check_answer, judge
from peer_kit.vectors import Vector, each


def dialler(vector: Vector) -> DiallerHandshake:
    return DiallerHandshake(
        local=ActrId.parse(vector["dialler"]),
        remote=ActrId.parse(vector["listener"]),
        nonce=bytes.fromhex(vector["dialler_nonce"]),
        secret=bytes.fromhex(vector["secret"]) or None,
    )


def listener(vector: Vector, *realms: str) -> ListenerHandshake:
    return ListenerHandshake(
        local=ActrId.parse(vector["listener"]),
        nonce=bytes.fromhex(vector["listener_nonce"]),
        secret=bytes.fromhex(vector["secret"]) or None,
        allowed_realms=realms,
    )


@each("handshakes", "upgrade_requests")
def test_a_listener_answers_a_request_with_this_status(vector: Vector) -> None:
    match judge(vector["head"].encode("latin-1")):
        case Accept(key):
            assert vector["status"] == 101
            assert key in vector["head"]
        case Refusal() as refusal:
            assert refusal.status == vector["status"]


@each("handshakes", "upgrade_answers")
def test_a_dialler_takes_an_answer_or_says_what_is_wrong_with_it(vector: Vector) -> None:
    head, key = vector["head"].encode("latin-1"), vector["key"]
    if not vector["error"]:
        check_answer(head, key)
        return
    with pytest.raises(RemoteProtocolError, match=re.escape(vector["error"])):
        check_answer(head, key)


@each("handshakes", "steps")
def test_each_step_is_the_answer_to_the_one_before(vector: Vector) -> None:
    steps = {name: bytes.fromhex(vector[name]) for name in ("hello", "challenge", "proof")}
    welcome = bytes.fromhex(vector["welcome"])
    here, there = dialler(vector), listener(vector, ActrId.parse(vector["dialler"]).realm)
    assert here.start() == steps["hello"]
    assert there.receive(steps["hello"]) == Reply(steps["challenge"])
    assert here.receive(steps["challenge"]) == Reply(steps["proof"])
    size = vector["wire_message_bytes"]
    from_there = Accepted(ActrId.parse(vector["dialler"]), welcome, size)
    assert there.receive(steps["proof"]) == from_there
    assert here.receive(welcome) == Accepted(ActrId.parse(vector["listener"]), b"", size)


@each("handshakes", "refused_diallers")
def test_a_listener_refuses_with_this_code(vector: Vector) -> None:
    there = listener(vector, *vector["allowed_realms"])
    *before, last = (there.receive(bytes.fromhex(step)) for step in vector["steps"])
    assert all(isinstance(outcome, Reply) for outcome in before)
    assert isinstance(last, Refused)
    assert last.code == vector["code"]
    assert WireHandshake.FromString(last.step).welcome.error.code == vector["welcome_code"]


@each("handshakes", "refused_listeners")
def test_a_dialler_gives_up_at_the_last_step(vector: Vector) -> None:
    here = dialler(vector)
    here.start()
    *before, last = (bytes.fromhex(step) for step in vector["steps"])
    for step in before:
        here.receive(step)
    with pytest.raises(PeerError, match=re.escape(vector["error"])):
        here.receive(last)
