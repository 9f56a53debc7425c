"""The messages of a call: what its caller passes, looked at, and what comes of it, parsed.

What is wrong with a request is told before anything is sent, where the mistake is: all are bugs of
the calling code, so they are a ``LocalProtocolError`` with the method, what it takes, and what it
was given.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from google.protobuf.message import DecodeError

from actr_peer.errors import (
    BrokenError,
    CallError,
    ClosedError,
    Code,
    LocalProtocolError,
    PeerError,
    RemoteProtocolError,
)
from actr_peer.protocol.rpc.envelopes import Envelope
from actr_peer.rpc.calls import PendingCall
from actr_peer.rpc.destinations.contracts import Agreement
from actr_peer.service import Method, MethodKind, Req, Res
from actr_peer.transport.streams import StreamWriter


def parse(kind: type[Res], data: bytes, route_key: str) -> Res:
    """Read a message that the far side sent.

    Raises:
        RemoteProtocolError: If ``data`` is not one.
    """
    try:
        return kind.FromString(data)
    except DecodeError as exc:
        raise RemoteProtocolError(
            f"{route_key}: the far side's {kind.__name__} does not decode; "
            "compare the .proto files of both sides (actr proto check)"
        ) from exc


def refuse_stream(method: Method[Any, Any]) -> None:
    """A tell is one request: a stream has to be opened.

    Raises:
        LocalProtocolError: If the method streams.
    """
    if method.kind is not MethodKind.UNARY:
        raise LocalProtocolError(f"{method.route_key} is a stream: call it, do not tell it")


def read_reply(method: Method[Any, Res], reply: Envelope) -> Res:
    """The reply message, or the error that came in its place, raised."""
    error = reply.error
    if error is not None:
        raise error
    return parse(method.reply, reply.payload, method.route_key)


async def feed(
    writer: StreamWriter, requests: AsyncIterable[Req], *, on_error: Callable[[Exception], None]
) -> None:
    """Send all requests and end the stream.

    Nothing is taken of the user's iterable before the far side listens, so that a stream that was
    refused can be opened again with all of it. An error of the iterable goes to ``on_error`` and,
    as ABORTED, to the far side. A far side that takes no more, or a link that is closed, just ends
    it: its reply or the link says why.
    """
    try:
        await writer.opened()
    except (BrokenError, ClosedError):
        return
    except PeerError as exc:  # nobody is there: no fault of this task's
        on_error(exc)
        return
    try:
        async for request in requests:
            await writer.send(request.SerializeToString())
    except BrokenError:
        return
    except Exception as exc:  # noqa: BLE001 - the iterable is the user's code
        with suppress(BrokenError, ClosedError):
            writer.end(CallError(Code.ABORTED, "the caller's request stream failed"))
        on_error(exc)
    else:
        with suppress(BrokenError, ClosedError):
            writer.end()


def call_fails(call: PendingCall) -> Callable[[Exception], None]:
    """A callback that fails ``call``, if it still waits."""

    def fail(error: Exception) -> None:
        if not call.future.done():
            call.future.set_exception(error)

    return fail


def check_request(method: Method[Req, Any], request: object) -> None:
    """One message, of the method's type.

    Raises:
        LocalProtocolError: If it is not.
    """
    if not isinstance(request, method.request):
        raise LocalProtocolError(
            f"{method.route_key} takes a {method.request.__name__}, not {_kind_of(request)}"
        )


def check_requests(method: Method[Req, Any], requests: object) -> None:
    """Something that ``async for`` takes; a list is not.

    Raises:
        LocalProtocolError: If it is not.
    """
    if not hasattr(type(requests), "__aiter__"):
        raise LocalProtocolError(
            f"{method.route_key} takes an async iterable of {method.request.__name__}, "
            f"not {_kind_of(requests)}; make it an async generator"
        )


async def checked_requests(
    method: Method[Req, Any], requests: AsyncIterable[Req], contract: Agreement | None = None
) -> AsyncIterator[Req]:
    """The requests of a stream, each looked at as it is taken; once one is, the stream cannot be
    opened again with all of them.

    Raises:
        LocalProtocolError: If one is no message of the method's type.
    """
    if contract is not None:
        contract.is_taken = True
    async for request in requests:
        check_request(method, request)
        yield request


def _kind_of(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
