"""A refusal carries the callee's contract, and nothing that it carries harms its reader."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace

import pytest
from google.protobuf.any_pb2 import Any as PackedAny
from hypothesis import given
from hypothesis import strategies as st

from actr import envelope_pb2 as pb
from actr.demo.chat_actr import ChatService
from actr_peer.errors import CallError, Code
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.call_errors import sendable
from actr_peer.protocol.rpc.contracts import refusals
from actr_peer.protocol.rpc.contracts.refusals import (
    MAX_WHY_CHARS,
    Verdict,
    compared,
    is_refusal,
    refusal,
)
from actr_peer.protocol.rpc.envelopes import decode_envelope, encode_error

SAY, KICK = ChatService.SAY, ChatService.KICK


def told(form: bytes, **more: object) -> CallError:
    detail = PackedAny()
    detail.Pack(pb.MethodContract(form=form))
    values = {"details": (detail.SerializeToString(),)} | more
    return CallError(Code.FAILED_PRECONDITION, "", **values)  # type: ignore[arg-type]


def test_what_a_callee_refuses_is_compared_by_its_caller() -> None:
    error = refusal(KICK.route_key, KICK.form)
    assert error is not None
    read = decode_envelope(encode_error("r1", error)).error
    assert read is not None
    assert is_refusal(read)
    quick = replace(KICK, payload_type=PayloadType.RPC_RELIABLE)
    why = "it is RPC_SIGNAL there and RPC_RELIABLE here"
    assert compared(quick.form, read) == Verdict(KICK.contract, why)
    assert compared(KICK.form, read) == Verdict(KICK.contract, None)


def test_a_refusal_can_always_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal(SAY.route_key, SAY.form)
    assert error is not None
    assert sendable(error) is error
    monkeypatch.setattr(refusals, "MAX_PACKED_BYTES", 10)
    assert refusal(SAY.route_key, SAY.form) is None


@pytest.mark.parametrize(
    "error",
    [
        CallError(Code.FAILED_PRECONDITION, "call cycle"),
        CallError(Code.FAILED_PRECONDITION, "", details=(b"\xff",)),
        CallError(Code.FAILED_PRECONDITION, "", details=(PackedAny().SerializeToString(),)),
        told(b"x", domain="shop"),
        told(b""),
        CallError(Code.INTERNAL, "", details=told(b"x").details),
    ],
)
def test_other_errors_are_no_refusals(error: CallError) -> None:
    assert not is_refusal(error)


@pytest.mark.parametrize(
    "form",
    [b"no zlib", zlib.compress(b"no json"), zlib.compress(b"{}"), zlib.compress(b"[" * 9999)],
)
def test_what_cannot_be_read_is_a_difference(form: bytes) -> None:
    verdict = compared(SAY.form, told(form))
    assert verdict == Verdict(0, "the far side tells it in a way that cannot be read")


def test_the_form_of_another_method_is_none_of_this_one() -> None:
    verdict = compared(SAY.form, told(zlib.compress(KICK.form.encode())))
    assert verdict == Verdict(0, "the far side tells it in a way that cannot be read")


@pytest.mark.parametrize("kind", ["x" * 900_000, "\x1b[31m\n\u202e"])
def test_what_the_far_side_calls_things_is_cut_and_moves_no_cursor(kind: str) -> None:
    form = json.loads(SAY.form)
    form["methods"][0][1] = kind
    why = compared(SAY.form, told(zlib.compress(json.dumps(form).encode()))).why
    assert why is not None
    assert why.startswith("it is ")
    assert why.isprintable()
    assert len(why) < 4 * MAX_WHY_CHARS


def test_a_form_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    bomb = zlib.compress(b" " * (4 * refusals.MAX_FORM_BYTES))
    assert len(bomb) < refusals.MAX_PACKED_BYTES
    assert compared(SAY.form, told(bomb)) == Verdict(0, "it is too long to be compared")


@given(st.binary(max_size=64))
def test_no_refusal_raises(form: bytes) -> None:
    compared(SAY.form, told(form))
    compared(SAY.form, told(zlib.compress(form)))
