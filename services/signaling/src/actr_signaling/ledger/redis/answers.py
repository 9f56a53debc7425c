"""Sans-I/O: what Redis answers, held to what it must be: who is in its place may say anything.

An answer that is none ends the link, which is made anew; it never ends this service.
"""

from __future__ import annotations

from collections.abc import Sequence

from actr_signaling.protocol.presence import stored


class StoreError(Exception):
    """Redis is away, does not answer in time, or answers an error or what is no answer."""


def text(answer: object) -> bytes:
    """Bytes.

    Raises:
        StoreError: If it is something else, as of all below.
    """
    if not isinstance(answer, bytes):
        raise StoreError(f"{type(answer).__name__} where the store answers with text")
    return answer


def number(answer: object) -> int:
    """An epoch or a version, as the scripts write it."""
    try:
        return stored.read_number(text(answer))
    except ValueError as exc:
        raise StoreError("an answer that is no number of the store") from exc


def message(answer: object) -> tuple[bytes, bytes] | None:
    """Channel and data of what a subscription gives; None: it says something of itself."""
    match answer:
        case [b"message", bytes(channel), bytes(data)]:
            return channel, data
        case [b"message", *_]:
            raise StoreError("a message without its channel or data")
        case list():
            return None
        case _:
            raise StoreError(f"{type(answer).__name__} where the store tells of messages")


def state(answers: Sequence[object]) -> tuple[bytes | None, int, list[bytes]]:
    """What a sweep and a snapshot have answered: generation, version, and all values."""
    match answers:
        case [(bytes() | None) as generation, [bytes(version), list(values)]]:
            return generation, number(version), [text(value) for value in values]
        case _:
            raise StoreError("a state of the store that is none")
