"""Errors on their way out: whatever a handler raises, what is sent is something that can be.

A ``CallError`` is made by users, with fields of their choice; an error that did not encode would
take the place of the one that the caller ought to hear.
"""

from __future__ import annotations

from math import inf, isnan

from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.message import DecodeError

from actr_peer.errors import CallError, Code

MAX_ERROR_CHARS = 4096
MAX_DOMAIN_CHARS = 256
MAX_DETAILS_BYTES = 64 * 1024
MAX_RETRY_AFTER = 24 * 3600.0
"""Seconds; who says more means "not today"."""


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


def call_cycle(route_key: str) -> CallError:
    """Why a call is not taken that would wait for a handler that waits for it."""
    return CallError(
        Code.FAILED_PRECONDITION,
        f"call cycle: a handler here waits for this call of {route_key}; "
        "answer it first, or give the methods conflict keys",
    )


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
