"""Calls by the type of the message: ``call``, ``tell`` and streams, beside the typed clients."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from google.protobuf.message import Message

from actr_peer.errors import LocalProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.service import Caller, Method, Req, Res, call_options, method_taking

if TYPE_CHECKING:
    from actr_peer.transport.streams import StreamWriter


Target: TypeAlias = ActrId | str | Caller
"""An id, its text or URI, a type, ``"self"``, ``"shell"``; or what :meth:`any` and ``to`` give."""


class Verbs:
    """What sends a message to a destination: a handler's context, and the shell's ref.

    Without ``method=`` the one known unary method (for streams: the one whose replies stream)
    that takes messages of this type is meant. A method is known once the module that
    ``actr gen`` wrote of its service is imported.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # contexts and refs each have their own

        def to(self, remote: ActrId | str) -> Caller: ...

        def _channel(
            self, remote: ActrId | str, channel_id: str, *, latency_first: bool
        ) -> AbstractAsyncContextManager[StreamWriter]: ...

    def _gate(self, target: Target) -> Caller:
        if isinstance(target, ActrId | str) or not hasattr(target, "unary"):
            return self.to(target)  # type: ignore[arg-type]  # what is neither is refused there
        return target

    @overload
    async def call(
        self,
        remote: Target,
        request: Req | AsyncIterable[Req],
        *,
        method: Method[Req, Res],
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
        durable: bool | str = False,
    ) -> Res: ...

    @overload
    async def call(
        self,
        remote: Target,
        request: Message,
        *,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
        durable: bool | str = False,
    ) -> Message: ...

    async def call(
        self,
        remote: Target,
        request: Any,
        *,
        method: Method[Any, Any] | None = None,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
        durable: bool | str = False,
    ) -> Any:
        """Send a request, or with ``method=`` a stream of them, and wait for the one reply.

        Args:
            remote: An id, its text or URI, an actor type (the best one that is online is asked,
                chosen anew for each call), ``"self"``; from a handler also ``"shell"``; or a
                caller, as ``any("acme:room", key="kitchen")``.
            method: Which one, as ``RoomService.SAY``: needed where several take this message, and
                for a stream of requests; the reply's type is known then.
            timeout: Seconds; None: as configured.
            durable: As of a typed client's call.

        Raises:
            ConfigError: If ``remote`` is no destination.
            LocalProtocolError: If no known method, or more than one, takes this message, or
                ``method`` is none of one reply. Else as a typed client.
        """
        row = _row(request, method, replies_stream=False)
        options = call_options(timeout, metadata, durable=durable)
        if not row.kind.requests_stream:
            return await self._gate(remote).unary(row, request, options)
        if durable:
            raise LocalProtocolError(f"{row.route_key}: a stream of requests cannot be durable")
        return await self._gate(remote).client_stream(row, request, options)

    async def tell(
        self,
        remote: Target,
        request: Req,
        *,
        method: Method[Req, Any] | None = None,
        metadata: Mapping[str, str] | None = None,
        durable: bool | str = False,
    ) -> None:
        """Send a request without waiting for a reply; the rest as :meth:`call`."""
        row = _row(request, method, replies_stream=False)
        options = call_options(None, metadata, durable=durable)
        await self._gate(remote).tell(row, request, options)

    @overload
    def stream(
        self, remote: ActrId | str, what: str, *, latency_first: bool = False
    ) -> AbstractAsyncContextManager[StreamWriter]: ...

    @overload
    def stream(
        self,
        remote: Target,
        what: Req | AsyncIterable[Req],
        *,
        method: Method[Req, Res],
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Res, None]: ...

    @overload
    def stream(
        self,
        remote: Target,
        what: Message,
        *,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Message, None]: ...

    def stream(
        self,
        remote: Target,
        what: Any,
        *,
        latency_first: bool = False,
        method: Method[Any, Any] | None = None,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Any:
        """With a channel's id: a block in which it is open, ``await s.send(data, metadata)``. With
        a request: an iteration over the replies, as of :meth:`call`.

        Leaving the block ends the stream behind its items; an error that leaves it is its end. Who
        leaves the iteration early ends its handler with ``aclose()``, or ``contextlib.aclosing``.

        Raises:
            BusyError: On entering, if the channel to this remote is open already.
            BrokenError: On sending and leaving, if the far side takes no more or is gone.
            LocalProtocolError: If no one method takes the request: see :meth:`call`; or an option
                is given that belongs to the other of the two.
        """
        if not isinstance(what, str):
            if latency_first:
                raise LocalProtocolError(
                    "latency_first= is for a channel: of a method its payload type says so"
                )
            return self._replies_to(remote, what, method, timeout, metadata)
        given = {"method": method, "timeout": timeout, "metadata": metadata}
        for name, value in given.items():
            if value is not None:
                raise LocalProtocolError(f"{name}= is for a request: {what!r} is a channel's id")
        if not isinstance(remote, ActrId | str):
            raise LocalProtocolError(f"a channel is opened to an actor's id, not to {remote!r}")
        return self._channel(remote, what, latency_first=latency_first)

    def _replies_to(
        self,
        remote: Target,
        request: Any,
        method: Method[Any, Any] | None,
        timeout: float | None,
        metadata: Mapping[str, str] | None,
    ) -> AsyncIterator[Any]:
        row = _row(request, method, replies_stream=True)
        options = call_options(timeout, metadata)
        caller = self._gate(remote)
        send = caller.bidi_stream if row.kind.requests_stream else caller.server_stream
        return send(row, request, options)


def _row(
    request: object, method: Method[Any, Any] | None, *, replies_stream: bool
) -> Method[Any, Any]:
    """The method that is meant.

    Raises:
        LocalProtocolError: If it cannot be told, or is of another kind.
    """
    if method is not None:
        if not isinstance(method, Method):
            raise LocalProtocolError(f"method = {method!r}: give a row, as RoomService.SAY")
        if method.kind.replies_stream != replies_stream:
            verb = "stream()" if method.kind.replies_stream else "call()"
            raise LocalProtocolError(f"{method.route_key} is {method.kind.value}: use {verb}")
        return method
    if isinstance(request, Message):
        return method_taking(type(request), replies_stream=replies_stream)
    if isinstance(request, AsyncIterable):
        # An opening waits for no request, so that none is there to tell the method by.
        raise LocalProtocolError("a stream of requests needs method=, as RoomService.UPLOAD")
    raise LocalProtocolError(f"{request!r} is no request: give a message")
