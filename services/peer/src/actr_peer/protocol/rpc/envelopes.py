"""Sans-I/O: what travels on lanes, between protobuf and plain values (``actr/envelope.proto``).

The only user of the generated envelope modules. An :class:`Envelope` reads a field of the
parsed message when it is asked for it, for most fields of most messages are never read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.message import DecodeError

from actr import envelope_pb2 as pb
from actr_peer.errors import CallError, Code, LimitError, RemoteProtocolError
from actr_peer.protocol.rpc import bounds, bulk
from actr_peer.protocol.rpc.bounds import (
    MAX_CALL_CHAIN,
    MAX_CALL_NUMBER,
    MAX_METADATA_BYTES,
    MAX_METADATA_ENTRIES,
    MAX_ROUTE_CHARS,
    MAX_TRACEPARENT_CHARS,
    MAX_TRACESTATE_CHARS,
)
from actr_peer.protocol.rpc.bounds import MAX_ID_CHARS as MAX_ID_CHARS  # chunks have the same ids
from actr_peer.protocol.rpc.bulk import BULK_BYTES
from actr_peer.protocol.rpc.call_errors import sendable

REQUEST = pb.REQUEST
RESPONSE = pb.RESPONSE
TELL = pb.TELL
CANCEL = pb.CANCEL

MAX_TIMEOUT = 24 * 3600.0
"""Seconds; longer deadlines are cut to it (reliability: threat T29)."""

EMPTY: Mapping[str, str] = MappingProxyType({})
_PAYLOAD = pb.RpcEnvelope.PAYLOAD_FIELD_NUMBER


class Envelope:
    """One decoded ``RpcEnvelope``; its bounds hold."""

    __slots__ = (
        "_payload", "_pb", "direction", "has_call_chain", "opens_stream", "request_id", "route_key",
    )  # fmt: skip

    def __init__(
        self,
        message: pb.RpcEnvelope,
        direction: int,
        request_id: str,
        route_key: str,
        payload: bytes = b"",
    ) -> None:
        self._pb = message
        self._payload = payload
        """A long one, which was cut out of the message."""
        self.has_call_chain = False
        self.opens_stream = False
        self.direction = direction
        self.request_id = request_id
        self.route_key = route_key

    @property
    def payload(self) -> bytes:
        return self._payload or self._pb.payload

    @property
    def metadata(self) -> Mapping[str, str]:
        entries = self._pb.metadata
        return MappingProxyType(dict(entries)) if entries else EMPTY

    @property
    def timeout(self) -> float | None:
        """Seconds the caller still waited when it sent this; None: no deadline."""
        ms = self._pb.timeout_ms
        return min(ms / 1000, MAX_TIMEOUT) if ms else None

    @property
    def traceparent(self) -> str:
        return self._pb.traceparent

    @property
    def tracestate(self) -> str:
        return self._pb.tracestate

    @property
    def error(self) -> CallError | None:
        return read_error(self._pb.error) if self._pb.HasField("error") else None

    @property
    def channel_id(self) -> str:
        return self._pb.stream.channel_id

    @property
    def credit(self) -> int:
        """Chunks that the opener of the stream takes before it grants more."""
        return self._pb.stream.credit_messages

    @property
    def credit_bytes(self) -> int:
        """Bytes of chunks likewise; 0: no limit."""
        return self._pb.stream.credit_bytes

    @property
    def call_number(self) -> int:
        """The caller's number of a durable call; 0: not durable."""
        return self._pb.call_number

    @property
    def low_water(self) -> int:
        return self._pb.low_water

    @property
    def store_id(self) -> int:
        return self._pb.store_id

    @property
    def contract(self) -> int:
        """The number of the caller's contract of the method; 0: not to be compared."""
        return self._pb.contract

    @property
    def call_chain(self) -> tuple[str, ...]:
        return tuple(self._pb.call_chain)


def decode_envelope(data: bytes) -> Envelope:
    """Read one ``RpcEnvelope``.

    Raises:
        RemoteProtocolError: If it is not one, or breaks a bound of ``bounds``.
    """
    rest, payload = data, b""
    if len(data) > bounds.UNSCANNED_BYTES:
        rest, payload = bulk.cut_out(data, _PAYLOAD, bounds.check(data, bounds.ENVELOPE))
    try:
        message = pb.RpcEnvelope.FromString(rest)
    except DecodeError as exc:
        raise RemoteProtocolError(f"undecodable envelope of {len(data)} bytes") from exc
    request_id, route_key, direction = message.request_id, message.route_key, message.direction
    if not 0 < len(request_id) <= MAX_ID_CHARS:
        raise RemoteProtocolError(f"request id of {len(request_id)} characters")
    if len(route_key) > MAX_ROUTE_CHARS:
        raise RemoteProtocolError(f"route key of {len(route_key)} characters")
    if not 0 <= direction <= CANCEL:
        raise RemoteProtocolError(f"direction {direction}")
    envelope = Envelope(message, direction, request_id, route_key, payload)
    if message.metadata or message.call_chain or message.traceparent or message.HasField("stream"):
        try:
            _check_extras(message, envelope)
        except LimitError as exc:
            raise RemoteProtocolError(str(exc)) from exc
    number = message.call_number
    if number and not message.low_water <= number <= MAX_CALL_NUMBER:
        raise RemoteProtocolError(f"call number {number}, smallest open one {message.low_water}")
    return envelope


def _check_extras(message: pb.RpcEnvelope, envelope: Envelope) -> None:
    """Hold what few messages carry to its bounds."""
    if message.metadata:
        check_metadata(message.metadata)
    if message.call_chain:
        check_chain(message.call_chain)
        envelope.has_call_chain = True
    if message.traceparent:
        check_trace(message.traceparent, message.tracestate)
    if message.HasField("stream"):
        envelope.opens_stream = True


def check_chars(what: str, text: str, most: int) -> None:
    """Hold a string to its bound.

    Raises:
        LimitError: If it has more characters.
    """
    if len(text) > most:
        raise LimitError(f"characters of a {what}", limit=most, asked=len(text))


def check_chain(chain: Sequence[str]) -> None:
    """Hold a chain of calls to its bounds.

    Raises:
        LimitError: If it is too long, or one of its ids is.
    """
    if len(chain) > MAX_CALL_CHAIN:
        raise LimitError("calls in a chain", limit=MAX_CALL_CHAIN, asked=len(chain))
    for request_id in chain:
        check_chars("request id", request_id, MAX_ID_CHARS)


def check_trace(traceparent: str, tracestate: str) -> None:
    """Hold a trace context to its bounds.

    Raises:
        LimitError: If one of the two is too long.
    """
    check_chars("traceparent", traceparent, MAX_TRACEPARENT_CHARS)
    check_chars("tracestate", tracestate, MAX_TRACESTATE_CHARS)


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Hold metadata to its bounds.

    Raises:
        LimitError: If there are too many entries, or too many bytes over all of them.
    """
    if len(metadata) > MAX_METADATA_ENTRIES:
        raise LimitError("metadata entries", limit=MAX_METADATA_ENTRIES, asked=len(metadata))
    size = sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        raise LimitError("metadata bytes", limit=MAX_METADATA_BYTES, asked=size)


@dataclass(slots=True, kw_only=True)
class Extras:
    """What few requests carry."""  # not frozen: that would make it three times as dear

    traceparent: str = ""
    tracestate: str = ""
    channel_id: str = ""
    """Set on the request that opens a stream."""
    credit: int = 0
    credit_bytes: int = 0
    call_number: int = 0
    low_water: int = 0
    store_id: int = 0
    call_chain: Sequence[str] = ()


NO_EXTRAS = Extras()


def encode_request(
    request_id: str,
    route_key: str,
    payload: bytes,
    *,
    timeout: float | None = None,
    is_tell: bool = False,
    metadata: Mapping[str, str] = EMPTY,
    contract: int = 0,
    extras: Extras = NO_EXTRAS,
) -> bytes:
    """Write a request or a tell; ``timeout`` in seconds, None for no deadline.

    Raises:
        LimitError: If the far side would not take it: an id, the route key, the metadata, the
            chain of calls or the trace context is over its bound.
    """
    if len(request_id) > MAX_ID_CHARS or len(route_key) > MAX_ROUTE_CHARS:
        check_chars("request id", request_id, MAX_ID_CHARS)
        check_chars("route key", route_key, MAX_ROUTE_CHARS)
    message = pb.RpcEnvelope()
    message.request_id = request_id
    message.route_key = route_key
    is_bulk = len(payload) >= BULK_BYTES
    if not is_bulk:
        message.payload = payload
    if timeout is not None:
        # Rounded down, but to no 0: a short rest of a deadline does not become "none".
        message.timeout_ms = max(1, int(min(timeout, MAX_TIMEOUT) * 1000))
    if is_tell:
        message.direction = TELL
    if contract:
        message.contract = contract
    if metadata:
        check_metadata(metadata)
        message.metadata.update(metadata)
    if extras is not NO_EXTRAS:
        _write_extras(message, extras)
    head = message.SerializeToString()
    return bulk.append(head, _PAYLOAD, payload) if is_bulk else head


def with_contract(request: bytes, contract: int) -> bytes:
    """A request as it was written, with another number of its contract."""
    message = pb.RpcEnvelope.FromString(request)
    message.contract = contract
    return message.SerializeToString()


def contract_of(request: bytes) -> int:
    """The number that a request names, as it was written; 0: none."""
    return pb.RpcEnvelope.FromString(request).contract


def _write_extras(message: pb.RpcEnvelope, extras: Extras) -> None:
    if extras.traceparent:
        check_trace(extras.traceparent, extras.tracestate)
        message.traceparent = extras.traceparent
        message.tracestate = extras.tracestate
    if extras.channel_id:
        message.stream.channel_id = extras.channel_id
        message.stream.credit_messages = extras.credit
        message.stream.credit_bytes = extras.credit_bytes
    if extras.call_number:
        message.call_number = extras.call_number
        message.low_water = extras.low_water
        message.store_id = extras.store_id
    if extras.call_chain:
        check_chain(extras.call_chain)
        message.call_chain.extend(extras.call_chain)


def encode_reply(request_id: str, payload: bytes) -> bytes:
    """Write a successful response."""
    message = pb.RpcEnvelope()  # set one by one: faster than by keywords
    message.request_id = request_id
    message.direction = RESPONSE
    if len(payload) >= BULK_BYTES:
        return bulk.append(message.SerializeToString(), _PAYLOAD, payload)
    message.payload = payload
    return message.SerializeToString()


def encode_error(request_id: str, error: CallError) -> bytes:
    """Write a response that is an error."""
    return pb.RpcEnvelope(
        request_id=request_id, direction=RESPONSE, error=write_error(error)
    ).SerializeToString()


def encode_cancel(request_id: str) -> bytes:
    """Write word that nobody waits for this request any more."""
    return pb.RpcEnvelope(request_id=request_id, direction=CANCEL).SerializeToString()


def write_error(error: CallError) -> pb.RpcError:
    """Write an error as its message; what cannot be carried is left out."""
    error = sendable(error)
    message = pb.RpcError(
        code=int(error.code),
        message=error.message,
        retryable=error.retryable,
        retry_after_ms=int((error.retry_after or 0) * 1000),
        domain=error.domain,
    )
    for detail in error.details:
        message.details.append(PackedAny.FromString(detail))
    return message


def read_error(message: pb.RpcError) -> CallError:
    """Give back the error that the far side sent; an unknown code becomes UNKNOWN."""
    try:
        code = Code(message.code)
    except ValueError:
        code = Code.UNKNOWN
    return CallError(
        code,
        message.message,
        retryable=message.retryable,
        retry_after=message.retry_after_ms / 1000 if message.retry_after_ms else None,
        domain=message.domain,
        details=tuple(detail.SerializeToString() for detail in message.details),
    )
