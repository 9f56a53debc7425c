"""Sans-I/O: one item of a stream, or word about the stream (``StreamChunk``, spec 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from google.protobuf.message import DecodeError

from actr import envelope_pb2 as pb
from actr_peer.errors import CallError, LimitError, RemoteProtocolError
from actr_peer.protocol.envelopes import (
    EMPTY,
    MAX_ID_CHARS,
    check_metadata,
    read_error,
    write_error,
)


@dataclass(slots=True)
class Chunk:
    """One decoded ``StreamChunk``: an item, or word about the stream."""

    channel_id: str
    sequence: int = 0
    data: bytes = b""
    metadata: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    is_end: bool = False
    """The sender's half ended well; ``sequence`` is the count of its items."""
    error: CallError | None = None
    """The sender's half ended with this."""
    is_cancel: bool = False
    """From the receiver: produce no more."""
    credit: int = 0
    """From the receiver: items it takes beyond those granted before."""

    @property
    def is_item(self) -> bool:
        return not (self.is_end or self.is_cancel or self.credit or self.error is not None)


def encode_item(
    channel_id: str, sequence: int, data: bytes, metadata: Mapping[str, str] = EMPTY
) -> bytes:
    """Write one item of a stream."""
    message = pb.StreamChunk(channel_id=channel_id, sequence=sequence, data=data)
    if metadata:
        check_metadata(metadata)
        message.metadata.update(metadata)
    return message.SerializeToString()


def encode_end(channel_id: str, sequence: int, error: CallError | None = None) -> bytes:
    """Write the end of a stream of ``sequence`` items."""
    if error is None:
        message = pb.StreamChunk(channel_id=channel_id, sequence=sequence, end=True)
    else:
        message = pb.StreamChunk(channel_id=channel_id, sequence=sequence, error=write_error(error))
    return message.SerializeToString()


def encode_stream_cancel(channel_id: str) -> bytes:
    """Write word that the receiver takes no more."""
    return pb.StreamChunk(channel_id=channel_id, cancel=True).SerializeToString()


def encode_credit(channel_id: str, messages: int) -> bytes:
    """Write a grant of ``messages`` more items."""
    return pb.StreamChunk(
        channel_id=channel_id, credit=pb.StreamCredit(messages=messages)
    ).SerializeToString()


def decode_chunk(data: bytes) -> Chunk:
    """Read one ``StreamChunk``.

    Raises:
        RemoteProtocolError: If it is not one, or breaks a bound of this module.
    """
    try:
        message = pb.StreamChunk.FromString(data)
    except DecodeError as exc:
        raise RemoteProtocolError(f"undecodable stream chunk of {len(data)} bytes") from exc
    channel_id = message.channel_id
    if not 0 < len(channel_id) <= MAX_ID_CHARS:
        raise RemoteProtocolError(f"channel id of {len(channel_id)} characters")
    chunk = Chunk(channel_id, message.sequence, message.data)
    if message.metadata:
        try:
            check_metadata(message.metadata)
        except LimitError as exc:
            raise RemoteProtocolError(str(exc)) from exc
        chunk.metadata = MappingProxyType(dict(message.metadata))
    match message.WhichOneof("control"):
        case "end":
            chunk.is_end = True
        case "error":
            chunk.error = read_error(message.error)
        case "cancel":
            chunk.is_cancel = True
        case "credit":
            chunk.credit = message.credit.messages
        case None:
            pass
    return chunk
