"""The body of a streaming handler: requests read, items sent, and what is told of its failure.

This is the boundary to the user's code, as :mod:`actr_peer.actor.handlers` is for requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import DecodeError, Message

from actr_peer.actor.context import Asked, Context, serialize
from actr_peer.actor.handlers import Handlers, latest_end
from actr_peer.actor.reach import Actor
from actr_peer.errors import CallError, Code, LimitError, RemoteProtocolError
from actr_peer.protocol.rpc.call_errors import no_request
from actr_peer.protocol.rpc.envelopes import Envelope, encode_reply
from actr_peer.rpc.tracing import arrive
from actr_peer.service import Method
from actr_peer.transport.link import Link
from actr_peer.transport.stream_reader import StreamReader
from actr_peer.transport.streams import StreamWriter


async def run_body(
    handlers: Handlers,
    actor: Actor,
    link: Link,
    envelope: Envelope,
    *,
    halves: tuple[StreamReader | None, StreamWriter | None],
    deadline: float | None,
) -> bytes | CallError | None:
    """Run the handler of an opened stream; it ends its sending half itself.

    Args:
        deadline: By the loop's clock: the caller's, from when the opening came.

    Returns:
        The reply or the error of a method with a single reply; None where replies stream.
    """
    method, handler = handlers.bound(envelope.route_key)
    reader, writer = halves
    caller = handlers.who[link.remote.text]
    context = Context(actor, caller, envelope, deadline=deadline, method=method)
    arrive(envelope)
    try:
        async with asyncio.timeout_at(latest_end(method, deadline)):
            if reader is None:
                request: object = _request(method, envelope)
            else:
                request = read_requests(reader, method)
            if writer is None:
                reply = await handler(request, context)
                return encode_reply(envelope.request_id, serialize(method, reply))
            await _send_all(handler(request, context), writer, method)
            writer.end()
    except Exception as exc:  # noqa: BLE001 - the user's code ends here
        asked = Asked.by(link.remote, envelope)
        error = handlers.error_of(method, exc, asked)
        if writer is None:
            return error
        writer.end(error)
    return None


async def _send_all(items: Any, writer: StreamWriter, method: Method[Any, Any]) -> None:
    try:
        async for item in items:
            try:
                await writer.send(serialize(method, item))
            except LimitError as exc:
                raise CallError(Code.RESOURCE_EXHAUSTED, f"{method.route_key}: {exc}") from exc
    finally:
        # A generator that stands at its yield learns of the end here, not when it is collected.
        if hasattr(items, "aclose"):
            await items.aclose()


def _request(method: Method[Any, Any], envelope: Envelope) -> Message:
    try:
        message: Message = method.request.FromString(envelope.payload)
    except DecodeError as exc:
        raise no_request(method.route_key, method.request.__name__) from exc
    return message


async def read_requests(reader: StreamReader, method: Method[Any, Any]) -> AsyncIterator[Message]:
    """The request messages of a stream, as the handler iterates them.

    Raises:
        CallError: DATA_LOSS or RESOURCE_EXHAUSTED, if items did not come as they must;
            INVALID_ARGUMENT, if one is no request; or what the caller ended its half with.
    """
    try:
        async for chunk in reader:
            try:
                message = method.request.FromString(chunk.data)
            except DecodeError as exc:
                raise no_request(method.route_key, method.request.__name__, "an item") from exc
            yield message
    except RemoteProtocolError as exc:
        raise CallError(Code.DATA_LOSS, f"{method.route_key}: {exc}") from exc
    except LimitError as exc:
        raise CallError(Code.RESOURCE_EXHAUSTED, f"{method.route_key}: {exc}") from exc
