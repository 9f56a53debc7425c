"""A method of an actor as an endpoint of Connect's application."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from connectrpc.code import Code as ConnectCode
from connectrpc.codec import Codec
from connectrpc.compat import google_protobuf_binary_codec
from connectrpc.errors import ConnectError, ErrorDetail
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from protobuf.wkt import Any as ConnectAny

from actr_peer.cli.verbs.gateway.bounds import MAX_JSON_BYTES
from actr_peer.cli.verbs.gateway.contracts import Callee
from actr_peer.errors import Code, PeerError
from actr_peer.protocol.rpc.connect.codes import WORDS, said
from actr_peer.service import CallOptions, Method, MethodKind, call_options
from actr_peer.tasks import note_failure

Context: TypeAlias = RequestContext[Any, Any]

_STREAMS: Final[Mapping[MethodKind, StreamType]] = {
    MethodKind.UNARY: StreamType.UNARY,
    MethodKind.SERVER_STREAM: StreamType.SERVER_STREAM,
    MethodKind.CLIENT_STREAM: StreamType.CLIENT_STREAM,
    MethodKind.BIDI_STREAM: StreamType.BIDI_STREAM,
}
_NO_SIDE_EFFECTS: Final = 1
"""Of ``google.protobuf.MethodOptions.IdempotencyLevel``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One call that is to be made."""

    callee: Callee
    metadata: Mapping[str, str]
    ended: Callable[[Code | None], None]
    """Told how it ended; None: well. A caller that left is CANCELLED."""

    def options(self, ctx: Context) -> CallOptions:
        left = ctx.timeout_ms
        return call_options(None if left is None else max(0.001, left / 1000), self.metadata)

    async def unary(self, request: Message, ctx: Context) -> Message:
        to = self.callee
        return cast("Message", await to.caller.unary(to.method, request, self.options(ctx)))

    async def client_stream(self, requests: AsyncIterator[Message], ctx: Context) -> Message:
        to = self.callee
        reply = await to.caller.client_stream(to.method, requests, self.options(ctx))
        return cast("Message", reply)

    async def server_stream(self, request: Message, ctx: Context) -> AsyncGenerator[Message, None]:
        to = self.callee
        replies = to.caller.server_stream(to.method, request, self.options(ctx))
        async with _closing(replies) as found:
            async for reply in found:
                yield reply

    async def bidi_stream(
        self, requests: AsyncIterator[Message], ctx: Context
    ) -> AsyncGenerator[Message, None]:
        to = self.callee
        replies = to.caller.bidi_stream(to.method, requests, self.options(ctx))
        async with _closing(replies) as found:
            async for reply in found:
                yield reply


class _Ending:
    """Has each error of a call come out as Connect's, and knows how the call ended."""

    def __init__(self) -> None:
        self.has_ended = False
        self.code: Code | None = None
        """None: well."""

    def _ended(self, code: Code | None) -> None:
        self.has_ended, self.code = True, code

    def unsaid(self, code: Code) -> None:
        """It ended well, and its reply cannot be written."""
        self.code = code

    async def on_start(self, ctx: Context) -> None:
        """Nothing is begun."""

    async def on_end(self, token: None, ctx: Context, error: Exception | None) -> None:
        """Raise what the caller is told in place of ``error``.

        Raises:
            ConnectError: If it is another.
        """
        if error is None or isinstance(error, ConnectError):
            self._ended(None if error is None else _code(error))
            return
        if not isinstance(error, PeerError):
            note_failure("gateway", "call", error)
            self._ended(Code.INTERNAL)
            raise ConnectError(ConnectCode.INTERNAL, "the gateway failed; see its log") from error
        told = said(error)
        self._ended(told.code)
        if told.retry_after is not None:
            ctx.response_headers["retry-after"] = str(told.retry_after)
        details = [_detail(name, value) for name, value in told.details]
        raise ConnectError(ConnectCode(WORDS[told.code]), told.text, details) from error


class Application(ConnectASGIApplication[None]):
    """Connect's application with one endpoint.

    Args:
        message_bytes: The most of one request.
    """

    def __init__(self, order: Order, message_bytes: int) -> None:
        endpoint = _endpoint(order)
        path = f"/{endpoint.method.service_name}/{endpoint.method.name}"
        self._ending, self._ended = _Ending(), order.ended
        json = JsonCodec(order.callee.pool, self._ending.unsaid)
        super().__init__(
            service=None,
            endpoints=lambda _: {path: endpoint},
            interceptors=(self._ending,),
            read_max_bytes=message_bytes,
            codecs=(google_protobuf_binary_codec(), json),
        )
        self._path = path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer the request; then who ordered it is told how the call ended."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._ending.has_ended:
                self._ended(self._ending.code)

    @property
    def path(self) -> str:
        return self._path


class JsonCodec(Codec[Message, Message]):
    """Protobuf's JSON form, with the messages that an actor told.

    Args:
        unsaid: Told why a reply cannot be written.
    """

    def __init__(self, pool: DescriptorPool | None, unsaid: Callable[[Code], None]) -> None:
        self._pool = pool
        self._unsaid = unsaid

    def name(self) -> str:
        return "json"

    def encode(self, message: Message) -> bytes:
        """Write a reply.

        Raises:
            ConnectError: RESOURCE_EXHAUSTED, if it is longer than the loop has time for; INTERNAL,
                if JSON cannot say it: an unknown ``Any``, or a time that is none.
        """
        size = message.ByteSize()
        if size > MAX_JSON_BYTES:
            self._unsaid(Code.RESOURCE_EXHAUSTED)
            text = f"a reply of {size} bytes is over JSON's limit of {MAX_JSON_BYTES}: use protobuf"
            raise ConnectError(ConnectCode.RESOURCE_EXHAUSTED, text)
        try:
            said = json_format.MessageToJson(message, indent=None, descriptor_pool=self._pool)
            return said.encode()
        except Exception as exc:  # the library's: TypeError, ValueError, OverflowError, its own
            self._unsaid(Code.INTERNAL)
            text = "this reply cannot be said in JSON: use protobuf"
            raise ConnectError(ConnectCode.INTERNAL, text) from exc

    def decode(self, data: bytes | bytearray, message_class: type[Message]) -> Message:
        """Read a request; fields that are unknown are passed over, as Connect asks.

        Raises:
            ConnectError: RESOURCE_EXHAUSTED, if it is longer than the loop has time for.
            json_format.ParseError: If it is none; the application says so.
        """
        if len(data) > MAX_JSON_BYTES:
            text = f"{len(data)} bytes of JSON are over the limit of {MAX_JSON_BYTES}: use protobuf"
            raise ConnectError(ConnectCode.RESOURCE_EXHAUSTED, text)
        read: Message = json_format.Parse(
            bytes(data), message_class(), ignore_unknown_fields=True, descriptor_pool=self._pool
        )
        return read


def _endpoint(order: Order) -> Any:
    info = _info(order.callee.method, order.callee.pool)
    rows: Mapping[MethodKind, tuple[Callable[..., Any], Callable[..., Any]]] = {
        MethodKind.UNARY: (Endpoint.unary, order.unary),
        MethodKind.CLIENT_STREAM: (Endpoint.client_stream, order.client_stream),
        MethodKind.SERVER_STREAM: (Endpoint.server_stream, order.server_stream),
        MethodKind.BIDI_STREAM: (Endpoint.bidi_stream, order.bidi_stream),
    }
    make, function = rows[order.callee.method.kind]
    return make(info, function)


def _closing(replies: AsyncIterator[Message]) -> aclosing[AsyncGenerator[Message, None]]:
    return aclosing(cast("AsyncGenerator[Message, None]", replies))


def _info(method: Method[Any, Any], pool: DescriptorPool | None) -> MethodInfo[Any, Any]:
    service, _, name = method.route_key.rpartition(".")
    return MethodInfo(
        name=name,
        service_name=service,
        input=method.request,
        output=method.reply,
        idempotency_level=_idempotency(method, pool),
        stream_type=_STREAMS[method.kind],
    )


def _idempotency(method: Method[Any, Any], pool: DescriptorPool | None) -> IdempotencyLevel:
    """What the ``.proto`` file says; only a method without effects may be asked by GET."""
    request: Any = method.request.DESCRIPTOR
    try:
        found = (pool or request.file.pool).FindMethodByName(method.route_key)
    except KeyError:  # declared in a file that the actor does not tell
        return IdempotencyLevel.UNKNOWN
    if found.GetOptions().idempotency_level == _NO_SIDE_EFFECTS:
        return IdempotencyLevel.NO_SIDE_EFFECTS
    return IdempotencyLevel.UNKNOWN


def _detail(name: str, value: bytes) -> ErrorDetail:
    return ErrorDetail(ConnectAny(type_url=f"type.googleapis.com/{name}", value=value))


def _code(error: ConnectError) -> Code:
    return next(code for code, word in WORDS.items() if word == error.code.value)
