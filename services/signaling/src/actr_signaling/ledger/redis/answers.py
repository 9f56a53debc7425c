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
        case [b"message" | b"smessage", bytes(channel), bytes(data)]:
            return channel, data
        case [b"message" | b"smessage", *_]:
            raise StoreError("a message without its channel or data")
        case [b"sunsubscribe", *_]:
            raise StoreError("another server has the slot now")
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


def named_primary(answer: object) -> tuple[int, str, int]:
    """What ``SENTINEL MASTER`` answers: its configuration's epoch; the primary's host and port."""
    if not isinstance(answer, list) or len(answer) % 2:
        raise StoreError("a Sentinel tells of no primary")
    fields = {text(key): text(value) for key, value in zip(answer[::2], answer[1::2], strict=True)}
    try:
        epoch = int(fields[b"config-epoch"])
        host, port = _place(fields[b"ip"], int(fields[b"port"]))
    except (KeyError, ValueError) as exc:
        raise StoreError("a Sentinel tells of no primary") from exc
    return epoch, host, port


def slot_primary(answer: object, slot: int, asked: str) -> tuple[str, int]:
    """Host and port of who has ``slot``, of what ``CLUSTER SLOTS`` answers.

    Args:
        asked: The host that was asked: a node that does not know its own name is there.
    """
    for row in answer if isinstance(answer, list) else ():
        match row:
            case [int(first), int(last), [(bytes() | None) as host, int(port), *_], *_]:
                if first <= slot <= last:
                    return _place(host or asked.encode(), port)
            case _:
                raise StoreError("a list of slots that is none")
    raise StoreError(f"no node of the Cluster has slot {slot}")


def _place(host: bytes, port: int) -> tuple[str, int]:
    name = host.decode("ascii", "replace")
    if not 0 < port < 65_536 or not name or not name.isascii() or name == "?":
        raise StoreError("a server without a host or port")
    return name, port
