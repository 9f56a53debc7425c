"""Errors of this system and Connect's words for them are one to one."""

from __future__ import annotations

import pytest
from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.duration_pb2 import Duration

from actr_peer.errors import (
    BrokenError,
    CallError,
    ClosedError,
    Code,
    ConfigError,
    DeadlineError,
    LeftError,
    LimitError,
    LocalProtocolError,
    MayHaveRunError,
    PeerError,
    RemoteProtocolError,
    UnreachableError,
)
from actr_peer.protocol.rpc.connect.codes import HTTP_STATUS, WORDS, Said, code_of, said

CONNECT = {
    "canceled": 499,
    "unknown": 500,
    "invalid_argument": 400,
    "deadline_exceeded": 504,
    "not_found": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "resource_exhausted": 429,
    "failed_precondition": 400,
    "aborted": 409,
    "out_of_range": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "data_loss": 500,
    "unauthenticated": 401,
}
"""The table of Connect's own page, *Error codes*, as it stands there."""


def test_each_of_the_sixteen_codes_has_its_word_and_its_status_and_comes_back() -> None:
    assert {WORDS[code]: HTTP_STATUS[code] for code in Code} == CONNECT
    assert [code_of(WORDS[code]) for code in Code] == list(Code)
    assert code_of("cancelled") is None


@pytest.mark.parametrize("code", Code)
def test_an_actors_own_error_keeps_code_and_text(code: Code) -> None:
    assert said(CallError(code, "why")) == Said(code=code, text="why")


def test_an_actors_details_keep_their_names_and_bytes() -> None:
    detail = PackedAny(type_url="type.googleapis.com/acme.Why", value=b"\x08\x01")
    told = said(CallError(Code.ABORTED, "", details=(detail.SerializeToString(), b"\xff\xff")))
    assert told.details == (("acme.Why", b"\x08\x01"),)


def test_a_time_to_try_again_is_a_detail_and_whole_seconds() -> None:
    told = said(CallError(Code.RESOURCE_EXHAUSTED, "full", retry_after=1.25))
    ((name, value),) = told.details
    assert (name, told.retry_after) == ("google.rpc.RetryInfo", 2)
    assert Duration.FromString(value[2:]).ToMilliseconds() == 1250
    assert value[:2] == bytes((0x0A, len(value) - 2))


def test_details_that_cannot_be_read_are_left_out() -> None:
    class OddError(CallError):
        """One whose details were never looked at."""

    error = OddError(Code.INTERNAL, "odd", details=(b"\xff",))
    assert said(error).details == ()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnreachableError("a", "away"), Code.UNAVAILABLE),
        (ClosedError("closing"), Code.UNAVAILABLE),
        (DeadlineError("late"), Code.DEADLINE_EXCEEDED),
        (BrokenError("gone"), Code.UNKNOWN),
        (LeftError("left"), Code.UNKNOWN),
        (MayHaveRunError("a.B.C", "a", "gone"), Code.UNKNOWN),
        (LimitError("bytes", limit=1, asked=2), Code.RESOURCE_EXHAUSTED),
        (LocalProtocolError("metadata"), Code.INVALID_ARGUMENT),
        (RemoteProtocolError("odd"), Code.INTERNAL),
        (ConfigError("odd"), Code.INTERNAL),
    ],
)
def test_what_no_actor_said_is_told_by_what_may_be_done(error: PeerError, code: Code) -> None:
    assert said(error) == Said(code=code, text=str(error))
