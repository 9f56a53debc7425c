"""Whatever a handler raises, an error is sent, and says what can be said."""

from __future__ import annotations

import math

import pytest
from google.protobuf.any_pb2 import Any as PackedAny
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import BrokenError, CallError, Code, UnreachableError
from actr_peer.protocol.rpc.call_errors import (
    MAX_DESCRIBED_CHARS,
    MAX_DETAILS_BYTES,
    MAX_RETRY_AFTER,
    call_cycle,
    closing,
    code_of,
    described,
    internal,
    is_not_started,
    no_method,
    no_request,
    sendable,
    wrong_kind,
)
from actr_peer.protocol.rpc.envelopes import decode_envelope, encode_error
from actr_peer.protocol.streams.chunks import encode_end


class HalvedError(CallError):
    """Forgets what its base wants."""

    def __init__(self) -> None:
        Exception.__init__(self, "half")


class Awkward:
    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        raise ZeroDivisionError


def packed(size: int = 8) -> bytes:
    return PackedAny(type_url="x/y", value=bytes(size)).SerializeToString()


def error(**fields: object) -> CallError:
    made = CallError(Code.NOT_FOUND, "no such line")
    for name, value in fields.items():
        setattr(made, name, value)
    return made


BAD = {
    "a negative pause": error(retry_after=-1.0),
    "a pause that is no number": error(retry_after=math.nan),
    "a pause without end": error(retry_after=math.inf),
    "a pause of fifty days": error(retry_after=50 * 86400.0),
    "a pause of a huge number": error(retry_after=10**400),
    "a pause as text": error(retry_after="soon"),
    "details that are no Any": error(details=(b"\xff",)),
    "details that are no bytes": error(details=("text",)),
    "details that are no tuple": error(details=3),
    "details without bound": error(details=(packed(MAX_DETAILS_BYTES),)),
    "a lone surrogate": error(message="caf\udce9"),
    "a lone surrogate in the domain": error(domain="caf\udce9"),
    "a text that is none": error(message=Awkward()),
    "no text": error(message=None),
    "a long domain": error(domain="x" * 10_000),
    "a code that is none": error(code=99),
    "a code that is a text": error(code="NOT_FOUND"),
    "a code that compares to nothing": error(code=Awkward()),
    "a flag that is none": error(retryable=Awkward()),
    "half an error": HalvedError(),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_every_error_encodes_as_a_reply_and_as_the_end_of_a_stream(bad: CallError) -> None:
    told = decode_envelope(encode_error("r1", bad)).error
    assert isinstance(told, CallError)
    assert encode_end("c1", 3, bad)
    assert sendable(bad).__cause__ is bad


def test_what_can_be_said_is_kept_beside_what_cannot() -> None:
    bad = error(retry_after=-1.0, details=(b"\xff", packed()), domain="chat", retryable=True)
    told = sendable(bad)
    assert (told.code, told.message, told.domain) == (Code.NOT_FOUND, "no such line", "chat")
    assert (told.retry_after, told.details, told.retryable) == (None, (packed(),), True)
    assert sendable(error(message="caf\udce9")).message == "caf\\udce9"
    assert sendable(error(retry_after=50 * 86400.0)).retry_after == MAX_RETRY_AFTER


def test_an_error_that_can_be_sent_is_sent_as_it_is() -> None:
    good = CallError(
        Code.ABORTED, "é", retryable=True, retry_after=2, domain="chat", details=(packed(),)
    )
    assert sendable(good) is good


@given(
    st.one_of(st.none(), st.integers(), st.text(), st.floats(), st.sampled_from(Code)),
    st.one_of(st.none(), st.text(st.characters(), max_size=20), st.binary(max_size=20)),
    st.one_of(st.none(), st.floats(), st.integers()),
    st.one_of(st.none(), st.tuples(st.binary(max_size=9)), st.lists(st.binary(max_size=9))),
)
def test_any_fields_encode(code: object, text: object, pause: object, details: object) -> None:
    bad = error(code=code, message=text, retry_after=pause, details=details, domain=text)
    assert decode_envelope(encode_error("r1", bad)).error is not None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CallError(Code.NOT_FOUND, "answered"), Code.NOT_FOUND),
        (UnreachableError("acme:x@1:default", "it is offline"), Code.UNAVAILABLE),
        (BrokenError("on its way"), Code.UNKNOWN),
        (KeyError("unforeseen"), Code.INTERNAL),
    ],
)
def test_how_a_call_ended_is_a_code_whether_an_actor_answered_or_not(
    error: Exception, code: Code
) -> None:
    assert code_of(error) is code


def test_a_call_cycle_says_which_call_and_what_to_do() -> None:
    error = call_cycle("demo.Chat.Say")
    assert error.code is Code.FAILED_PRECONDITION
    assert not error.retryable
    assert "demo.Chat.Say" in error.message
    assert "conflict keys" in error.message


def test_a_failure_that_nobody_meant_is_told_by_its_class_and_the_id_in_the_log() -> None:
    error = internal("demo.Chat.Say", KeyError("secret"), "id-1")
    assert error.code is Code.INTERNAL
    assert error.message == "demo.Chat.Say failed with KeyError; its log has it as request id-1"
    effects = internal("demo.Chat.Say", KeyError("secret"), "id-1", "its transaction")
    assert effects.message.startswith("demo.Chat.Say: its transaction failed with KeyError; ")


class SilentError(Exception):
    """Has no text to give."""

    def __str__(self) -> str:
        raise ValueError("no text")


def fail(error: Exception) -> None:
    raise error


def raised(error: Exception) -> Exception:
    try:
        fail(error)
    except Exception as exc:  # noqa: BLE001 - with its traceback
        return exc


def test_an_error_is_described_in_a_line_with_where_it_was_raised() -> None:
    line = described(raised(ValueError("no such room")))
    assert line.startswith("ValueError: no such room (test_call_errors.py:")
    assert line.endswith(" in fail)")
    assert described(ValueError()) == "ValueError"
    assert described(SilentError()) == "SilentError"


def test_a_description_is_bounded_and_can_be_stored() -> None:
    for text in ("x" * 5000, "\udcff" * 5000):
        line = described(raised(ValueError(text)))
        assert len(line) <= MAX_DESCRIBED_CHARS
        line.encode()


def test_what_does_not_fit_the_contract_is_said_in_the_same_words_everywhere() -> None:
    assert "no method 'demo.Chat.Sing' here" in no_method("demo.Chat.Sing")
    assert wrong_kind("demo.Chat.Say", "unary") == "demo.Chat.Say is unary: call it"
    assert wrong_kind("demo.Chat.Upload", "client_stream").endswith("open it as a stream")
    item = no_request("demo.Chat.Upload", "FilePiece", "an item")
    assert item.code is Code.INVALID_ARGUMENT
    assert item.message.startswith("demo.Chat.Upload: an item is no FilePiece; compare")


@pytest.mark.parametrize("name", ["\udcff.py", "x" * 2000 + ".py"], ids=["no text", "long"])
def test_the_place_of_an_error_can_be_stored_whatever_its_file_is_called(name: str) -> None:
    code = compile("raise ValueError('why')", name, "exec")
    with pytest.raises(ValueError, match="why") as raised:
        exec(code, {})
    said = described(raised.value)
    assert said.startswith("ValueError: why (")
    assert said.encode()
    assert len(said) <= MAX_DESCRIBED_CHARS


def test_an_actor_that_closes_says_that_nothing_has_run() -> None:
    error = decode_envelope(encode_error("id", closing())).error
    assert error is not None
    assert (error.code, error.retryable, str(error.message)) == (
        Code.UNAVAILABLE,
        True,
        "the actor is closing",
    )
    assert is_not_started(error)


@pytest.mark.parametrize(
    "error",
    [
        CallError(Code.UNAVAILABLE, "no detail"),
        CallError(Code.UNAVAILABLE, "two", details=closing().details * 2),
        CallError(Code.UNAVAILABLE, "a handler's own", domain="acme", details=closing().details),
        CallError(Code.ABORTED, "another code", details=closing().details),
        CallError(Code.UNAVAILABLE, "no Any", details=(b"\xff",)),
        CallError(Code.UNAVAILABLE, "another detail", details=(b"\x0a\x03a/b",)),
    ],
    ids=lambda each: each.message,
)
def test_no_other_error_says_so(error: CallError) -> None:
    assert not is_not_started(error)
