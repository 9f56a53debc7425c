"""Errors on their way out: whatever a handler raises, what is sent is something that can be.

A ``CallError`` is made by users, with fields of their choice; an error that did not encode would
take the place of the one that the caller ought to hear.
"""

from __future__ import annotations

from math import inf, isnan

from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.message import DecodeError

from actr import envelope_pb2 as pb
from actr_peer.errors import (
    BrokenError,
    CallError,
    ClosedError,
    Code,
    DeadlineError,
    LimitError,
    LocalProtocolError,
    UnreachableError,
)

MAX_ERROR_CHARS = 4096
MAX_DOMAIN_CHARS = 256
MAX_DESCRIBED_CHARS = 1000
"""Of an error as a dead letter keeps it."""
MAX_PLACE_CHARS = 400
"""Of where it was raised, among them."""
MAX_DETAILS_BYTES = 64 * 1024
MAX_RETRY_AFTER = 24 * 3600.0
"""Seconds; who says more means "not today"."""


_CODE_OF: tuple[tuple[type[Exception], Code], ...] = (
    (UnreachableError, Code.UNAVAILABLE),  # it has not run
    (ClosedError, Code.UNAVAILABLE),  # likewise: this side goes
    (DeadlineError, Code.DEADLINE_EXCEEDED),
    (BrokenError, Code.UNKNOWN),  # it may have run: UNAVAILABLE would have clients try again
    (LimitError, Code.RESOURCE_EXHAUSTED),
    (LocalProtocolError, Code.INVALID_ARGUMENT),  # metadata that cannot be sent, and the like
)


def code_of(error: BaseException) -> Code:
    """The code of what a call has ended with at its caller: its own where an actor answered, else
    what kind of failure it is."""
    if isinstance(error, CallError):
        return _code(getattr(error, "code", None))
    return next((code for kind, code in _CODE_OF if isinstance(error, kind)), Code.INTERNAL)


def sendable(error: CallError) -> CallError:
    """``error`` itself where a message can carry it; else a copy with what can be carried.

    Never raises, also where fields are missing or of another type.
    """
    code = _code(getattr(error, "code", None))
    text = _text(getattr(error, "message", None), MAX_ERROR_CHARS)
    domain = _text(getattr(error, "domain", ""), MAX_DOMAIN_CHARS)
    retry_after = _seconds(getattr(error, "retry_after", None))
    details = _details(getattr(error, "details", ()))
    retryable = getattr(error, "retryable", False) is True
    if _has(error, (code, text, domain, retry_after, details, retryable)):
        return error
    copy = CallError(
        code, text, retryable=retryable, retry_after=retry_after, domain=domain, details=details
    )
    copy.__cause__ = error
    return copy


def closing() -> CallError:
    """Why a stream is not begun here any more; it says that nothing of it has run."""
    detail = PackedAny()
    detail.Pack(pb.NotStarted())
    return CallError(
        Code.UNAVAILABLE,
        "the actor is closing",
        retryable=True,
        details=(detail.SerializeToString(),),
    )


def is_not_started(error: CallError) -> bool:
    """Whether the callee says that nothing of the call has run, for it closes."""
    if error.code is not Code.UNAVAILABLE or error.domain or len(error.details) != 1:
        return False
    try:
        return PackedAny.FromString(error.details[0]).Is(pb.NotStarted.DESCRIPTOR)
    except DecodeError:
        return False


def call_cycle(route_key: str) -> CallError:
    """Why a call is not taken that would wait for a handler that waits for it."""
    return CallError(
        Code.FAILED_PRECONDITION,
        f"call cycle: a handler here waits for this call of {route_key}; "
        "answer it first, or give the methods conflict keys",
    )


def no_method(route_key: str) -> str:
    """Why a call is not taken whose method has no handler here."""
    return f"no method {route_key!r} here; compare the .proto files of both sides (actr describe)"


def wrong_kind(route_key: str, kind: str) -> str:
    """Why a stream is not called, and what is no stream not opened."""
    return f"{route_key} is {kind}: {'call it' if kind == 'unary' else 'open it as a stream'}"


def no_request(route_key: str, name: str, what: str = "the request") -> CallError:
    """Why a message is not taken that cannot be read as the method's."""
    return CallError(
        Code.INVALID_ARGUMENT,
        f"{route_key}: {what} is no {name}; compare the .proto files of both sides "
        "(actr proto check)",
    )


def internal(route_key: str, exc: BaseException, request_id: str, doing: str = "") -> CallError:
    """What the caller is told of a failure that nobody meant: its class, never its inside, and the
    id by which the callee's log has the rest.

    Args:
        doing: What failed, where it was not the handler itself.
    """
    what = f"{route_key}: {doing} failed" if doing else f"{route_key} failed"
    name = type(exc).__name__
    return CallError(Code.INTERNAL, f"{what} with {name}; its log has it as request {request_id}")


def described(exc: BaseException) -> str:
    """An error in a line, for who looks after the actor: class, text, and where it was raised."""
    try:
        text = str(exc)
    except Exception:  # noqa: BLE001 - a user's object, which says what it likes
        text = ""
    line = f"{type(exc).__name__}: {text}" if text else type(exc).__name__
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = ""
    if trace is not None:
        code = trace.tb_frame.f_code
        name = code.co_filename.rpartition("/")[2]
        where = _text(f" ({name}:{trace.tb_lineno} in {code.co_name})", MAX_PLACE_CHARS)
    return _text(line, MAX_DESCRIBED_CHARS - len(where)) + where


def _has(error: CallError, fields: tuple[object, ...]) -> bool:
    """Whether the fields of an error are what was read of them."""
    try:
        has = (error.code, error.message, error.domain, error.retry_after, error.details)
        return (*has, error.retryable) == fields
    except Exception:  # noqa: BLE001 - a user's object, which compares as it likes
        return False


def _code(value: object) -> Code:
    try:
        return Code(value)  # type: ignore[arg-type]  # it says so itself
    except Exception:  # noqa: BLE001 - a user's object, which compares as it likes
        return Code.UNKNOWN


def _text(value: object, most: int) -> str:
    if not isinstance(value, str):
        return "" if value is None else f"<{type(value).__name__}>"
    cut = str.__getitem__(value, slice(most))
    return cut if cut.isascii() else cut.encode("utf-8", "backslashreplace").decode()[:most]


def _seconds(value: object) -> float | None:
    if not isinstance(value, int | float) or value < 0 or value == inf or _is_nan(value):
        return None
    return min(value, MAX_RETRY_AFTER)


def _is_nan(value: float) -> bool:
    return isinstance(value, float) and isnan(value)


def _details(value: object) -> tuple[bytes, ...]:
    if not isinstance(value, tuple):
        return ()
    taken: list[bytes] = []
    left = MAX_DETAILS_BYTES
    for detail in value:
        if isinstance(detail, bytes) and len(detail) <= left and _is_packed(detail):
            taken.append(detail)
            left -= len(detail)
    return tuple(taken)


def _is_packed(detail: bytes) -> bool:
    try:
        PackedAny.FromString(detail)
    except DecodeError:
        return False
    return True
