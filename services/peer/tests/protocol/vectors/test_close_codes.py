"""Why a WebSocket closes, as ``proto/vectors/close_codes.json`` has it."""

from __future__ import annotations

import pytest

from actr.envelope_pb2 import WireHandshake
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling.presence import Registration
from actr_peer.protocol.signaling.proofs import Proofs
from actr_peer.protocol.signaling.session import ClientSession, Ending, Final, Lost
from actr_peer.protocol.websocket.frames import FarClose, FramingError, OddFrames, Opcode
from actr_peer.protocol.websocket.refusals import refuse
from actr_peer.protocol.wire.close_codes import CloseCode
from peer_kit.vectors import Vector, each, vectors

LISTENER_ALONE = {"UNAUTHENTICATED", "FORBIDDEN", "NOT_HERE"}


def test_a_code_has_one_name_on_wires_and_at_signaling() -> None:
    listed = vectors("close_codes", "wire") + vectors("close_codes", "signaling")
    assert {(row["code"], row["name"]) for row in listed} == {(c.value, c.name) for c in CloseCode}


@each("close_codes", "wire")
def test_a_listener_says_in_its_welcome_why_it_closes(vector: Vector) -> None:
    code = CloseCode(vector["code"])
    assert vector["sender"] == ("listener" if code.name in LISTENER_ALONE else "either")
    if vector["welcome_code"] is None:
        with pytest.raises(KeyError):
            refuse(code, "no")
    else:
        welcome = WireHandshake.FromString(refuse(code, "no").step).welcome
        assert welcome.error.code == vector["welcome_code"]


@each("close_codes", "signaling")
def test_a_client_does_what_the_code_of_the_service_asks_for(vector: Vector) -> None:
    session = ClientSession(Registration(id=ActrId("acme", "a", "1"), incarnation=7), Proofs())
    ending = session.lost(vector["code"], "why")
    assert vector["client"] == _done(ending)
    assert vector["sender"] == "service"


def _done(ending: Ending) -> str:
    match ending:
        case Final():
            return "gives up"
        case Lost(_, True):
            return "connects again at once"
        case Lost():
            return "connects again later"


@each("close_codes", "sendable")
def test_a_far_side_may_close_with_a_code_that_may_be_sent_and_with_no_other(
    vector: Vector,
) -> None:
    payload = vector["code"].to_bytes(2, "big")
    taken = OddFrames()
    if vector["is_sendable"]:
        closed = taken.take(Opcode.CLOSE, payload, is_last=True, is_reserved=False)
        assert closed == FarClose(vector["code"], b"")
    else:
        with pytest.raises(FramingError):
            taken.take(Opcode.CLOSE, payload, is_last=True, is_reserved=False)
