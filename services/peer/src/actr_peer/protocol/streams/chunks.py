"""Sans-I/O: one item of a stream, or word about the stream (docs/protocol/streams.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf
from types import MappingProxyType

from google.protobuf.message import DecodeError

from actr import envelope_pb2 as pb
from actr_peer.errors import CallError, Code, LimitError, LocalProtocolError, RemoteProtocolError
from actr_peer.protocol.rpc import bounds, bulk
from actr_peer.protocol.rpc.bounds import check_texts, is_utf8
from actr_peer.protocol.rpc.envelopes import (
    EMPTY,
    MAX_ID_CHARS,
    check_metadata,
    read_error,
    write_error,
)

_DATA = pb.StreamChunk.DATA_FIELD_NUMBER


class Kind(Enum):
    """What a chunk says; of the fields of its ``oneof``, presence counts and not the value."""

    ITEM = auto()
    END = auto()
    """The sender's half ended well; ``sequence`` is the count of its items."""
    ERROR = auto()
    """The sender's half ended with ``error``."""
    CANCEL = auto()
    """From the receiver: produce no more."""
    CREDIT = auto()
    """From the receiver: what it takes beyond what was granted before."""


@dataclass(frozen=True, slots=True)
class Credit:
    """What a reader takes."""

    items: int
    size: int
    """Bytes, each item counted as its whole ``StreamChunk`` message; 0: no limit."""


NO_CREDIT = Credit(0, 0)


@dataclass(slots=True)
class Chunk:
    """One decoded ``StreamChunk``: an item, or word about the stream."""

    channel_id: str
    sequence: int = 0
    data: bytes = b""
    metadata: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    kind: Kind = Kind.ITEM
    error: CallError | None = None
    credit: Credit = NO_CREDIT
    opening: int = 0
    """Which opening of a named channel it is of; 0: not said."""
    size: int = 0
    """Bytes of the whole message."""
    sent_at: int = 0
    """Of a latency-first item: when its writer took it, microseconds of the clock there; 0: not
    said."""
    born_at: float = inf
    """The same by the loop's clock here, seconds; inf: not known."""
    age: float | None = None
    """Of a latency-first item: its seconds when it was handed over, at least; None: not known."""

    @property
    def is_item(self) -> bool:
        return self.kind is Kind.ITEM


def check_channel_id(channel_id: str) -> None:
    """Hold the name of a channel to its bounds.

    Raises:
        LimitError: If it has more than 64 characters.
        LocalProtocolError: If it has none, or is no text in UTF-8.
    """
    if not is_utf8(channel_id):
        raise LocalProtocolError(f"channel_id = {channel_id!r}: must be text in UTF-8")
    if not channel_id:
        raise LocalProtocolError("channel_id = '': must have a character")
    if len(channel_id) > MAX_ID_CHARS:
        raise LimitError("characters of a channel id", limit=MAX_ID_CHARS, asked=len(channel_id))


def encode_item(
    channel_id: str,
    sequence: int,
    data: bytes,
    metadata: Mapping[str, str] = EMPTY,
    *,
    opening: int = 0,
    sent_at: int = 0,
) -> bytes:
    """Write one item of a stream.

    Raises:
        LimitError: If the metadata is over its bounds.
        LocalProtocolError: If the data are no bytes, or the metadata no texts.
    """
    if not isinstance(data, bytes):
        raise LocalProtocolError(f"an item is bytes, not {type(data).__name__}")
    message = pb.StreamChunk(channel_id=channel_id, sequence=sequence)
    is_bulk = bulk.is_bulk(data)
    if not is_bulk:
        message.data = data
    if opening:
        message.opening = opening
    if sent_at:
        message.sent_at = sent_at
    if metadata:
        check_texts(metadata)
        check_metadata(metadata)
        message.metadata.update(metadata)
    head = message.SerializeToString()
    return bulk.append(head, _DATA, data) if is_bulk else head


def encode_end(
    channel_id: str, sequence: int, error: CallError | None = None, *, opening: int = 0
) -> bytes:
    """Write the end of a stream of ``sequence`` items; an error that cannot be written becomes
    an INTERNAL one that says so, for the far side must hear of the end."""
    message = pb.StreamChunk(channel_id=channel_id, sequence=sequence, opening=opening)
    if error is None:
        message.end = True
    else:
        message.error.CopyFrom(writable(error))
    return message.SerializeToString()


def writable(error: CallError) -> pb.RpcError:
    """``error`` as its message; where a handler put into it what no message holds, another."""
    try:
        return write_error(error)
    # Still, the far side must hear of the end.
    except (ValueError, TypeError, OverflowError, DecodeError) as exc:  # pragma: no cover - it fits
        text = f"an error of {error.code.name} that cannot be sent: {type(exc).__name__}"
        return write_error(CallError(Code.INTERNAL, text))


def encode_stream_cancel(channel_id: str, *, opening: int = 0) -> bytes:
    """Write word that the receiver takes no more."""
    return pb.StreamChunk(channel_id=channel_id, cancel=True, opening=opening).SerializeToString()


def encode_credit(channel_id: str, credit: Credit, *, opening: int = 0) -> bytes:
    """Write a grant."""
    return pb.StreamChunk(
        channel_id=channel_id,
        credit=pb.StreamCredit(messages=credit.items, bytes=credit.size),
        opening=opening,
    ).SerializeToString()


def decode_chunk(data: bytes) -> Chunk:
    """Read one ``StreamChunk``.

    Raises:
        RemoteProtocolError: If it is not one, or breaks a bound of ``bounds``.
    """
    fields = bounds.check(data, bounds.CHUNK)
    try:
        rest, payload = bulk.cut_out(data, _DATA, fields)
        message = pb.StreamChunk.FromString(rest)
    except DecodeError as exc:
        raise RemoteProtocolError(f"undecodable stream chunk of {len(data)} bytes") from exc
    channel_id = message.channel_id
    if not 0 < len(channel_id) <= MAX_ID_CHARS:
        raise RemoteProtocolError(f"channel id of {len(channel_id)} characters")
    chunk = Chunk(channel_id, message.sequence, payload or message.data, EMPTY)
    chunk.size = len(data)
    chunk.opening = message.opening
    chunk.sent_at = message.sent_at
    if message.metadata:
        try:
            check_metadata(message.metadata)
        except LimitError as exc:
            raise RemoteProtocolError(str(exc)) from exc
        chunk.metadata = MappingProxyType(dict(message.metadata))
    control = message.WhichOneof("control")
    if control is not None:
        _read_word(chunk, control, message)
    return chunk


def _read_word(chunk: Chunk, control: str, message: pb.StreamChunk) -> None:
    match control:
        case "end":
            chunk.kind = Kind.END
        case "error":
            chunk.kind = Kind.ERROR
            chunk.error = read_error(message.error)
        case "cancel":
            chunk.kind = Kind.CANCEL
        case "credit":
            chunk.kind = Kind.CREDIT
            chunk.credit = Credit(message.credit.messages, message.credit.bytes)
        case _:  # pragma: no cover - the .proto file has no fifth
            raise AssertionError(f"a word that this module does not know: {control}")
