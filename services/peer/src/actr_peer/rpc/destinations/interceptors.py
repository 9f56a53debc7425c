"""Interceptors of calls that leave: each sees a call before it goes, and what comes of it.

They stand in front of every caller that an actor hands out, whoever is called: another process, a
type, the own workload, the shell. Without any, no caller has anything in front of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias, cast

from actr_peer.errors import LocalProtocolError
from actr_peer.protocol.identity import ActrId, parse_destination
from actr_peer.protocol.payload import PayloadType
from actr_peer.service import Caller, CallOptions, Method, Req, Res, call_options


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDetails:
    """What a call is, beside its request. It is not changed: :meth:`but` makes another one."""

    method: Method[Any, Any]
    target: ActrId | str
    """Who is called: an id; else the text of a type, ``"self"`` or ``"shell"``."""
    timeout: float | None
    """Seconds; None: as configured for unary calls, no limit for streams."""
    metadata: Mapping[str, str]
    durable: bool | str = False

    @property
    def payload_type(self) -> PayloadType:
        return self.method.payload_type

    def but(
        self,
        *,
        target: ActrId | str | None = None,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> CallDetails:
        """The same call with something else; ``metadata`` are added to those that it has.

        What has no word here is set with ``dataclasses.replace``.
        """
        return replace(
            self,
            target=self.target if target is None else target,
            timeout=self.timeout if timeout is None else timeout,
            metadata={**self.metadata, **(metadata or {})},
        )

    @property
    def options(self) -> CallOptions:
        """As a caller takes them.

        Raises:
            LocalProtocolError: If one of them cannot be.
        """
        return call_options(self.timeout, self.metadata, durable=self.durable)


Asks: TypeAlias = Callable[[CallDetails, Any], Awaitable[Any]]
"""What is behind an interceptor: the call with one reply, or none for a tell."""
Opens: TypeAlias = Callable[[CallDetails, Any], AsyncIterator[Any]]
"""Likewise, with a stream of replies."""


class ClientInterceptor:
    """Base of interceptors of calls that leave, in the manner of grpc.aio.

    ``prepare`` is enough to change what calls say, or to refuse them. To see what comes of one, or
    to call again or not at all, override the method of its kind: ``proceed(details, request)`` goes
    on, once, several times or never. One object is used by all calls, also at the same time.
    """

    async def prepare(self, details: CallDetails) -> CallDetails:
        """The call as it is to go on, of every kind; what is raised ends it."""
        return details

    async def call_unary(self, proceed: Asks, details: CallDetails, request: Any) -> Any:
        """A call with one request and one reply."""
        return await proceed(await self.prepare(details), request)

    async def call_client_stream(
        self, proceed: Asks, details: CallDetails, requests: AsyncIterable[Any]
    ) -> Any:
        """A stream of requests, and one reply."""
        return await proceed(await self.prepare(details), requests)

    async def call_server_stream(
        self, proceed: Opens, details: CallDetails, request: Any
    ) -> AsyncIterator[Any]:
        """One request, and a stream of replies."""
        details = await self.prepare(details)
        async with aclosing(cast("Any", proceed(details, request))) as replies:
            async for reply in replies:
                yield reply

    async def call_bidi_stream(
        self, proceed: Opens, details: CallDetails, requests: AsyncIterable[Any]
    ) -> AsyncIterator[Any]:
        """A stream both ways."""
        details = await self.prepare(details)
        async with aclosing(cast("Any", proceed(details, requests))) as replies:
            async for reply in replies:
                yield reply

    async def tell(self, proceed: Asks, details: CallDetails, request: Any) -> None:
        """A request that has no reply."""
        await proceed(await self.prepare(details), request)


class InterceptedGate:
    """A :class:`~actr_peer.service.Caller` behind interceptors; the first is outermost.

    Args:
        gate: Who is called where no interceptor says otherwise.
        reach: Finds the caller for another target.
    """

    def __init__(
        self,
        gate: Caller,
        target: ActrId | str,
        interceptors: Sequence[ClientInterceptor],
        reach: Callable[[ActrId | str], Caller],
    ) -> None:
        self._gate = gate
        known = parse_destination(target) if isinstance(target, str) else target
        self._target = known if isinstance(known, ActrId) else target
        self._inner_first = tuple(reversed(interceptors))
        self._reach = reach

    async def unary(self, method: Method[Req, Res], request: Req, options: CallOptions) -> Res:
        """As the gate behind it, unless an interceptor does otherwise; so are the other kinds."""
        proceed: Asks = self._unary
        for each in self._inner_first:
            proceed = partial(each.call_unary, proceed)
        return cast("Res", await proceed(self._details(method, options), request))

    async def tell(self, method: Method[Req, Any], request: Req, options: CallOptions) -> None:
        proceed: Asks = self._tell
        for each in self._inner_first:
            proceed = partial(each.tell, proceed)
        await proceed(self._details(method, options), request)

    async def client_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> Res:
        proceed: Asks = self._client_stream
        for each in self._inner_first:
            proceed = partial(each.call_client_stream, proceed)
        return cast("Res", await proceed(self._details(method, options), requests))

    def server_stream(
        self, method: Method[Req, Res], request: Req, options: CallOptions
    ) -> AsyncIterator[Res]:
        proceed: Opens = self._server_stream
        for each in self._inner_first:
            proceed = partial(each.call_server_stream, proceed)
        return proceed(self._details(method, options), request)

    def bidi_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> AsyncIterator[Res]:
        proceed: Opens = self._bidi_stream
        for each in self._inner_first:
            proceed = partial(each.call_bidi_stream, proceed)
        return proceed(self._details(method, options), requests)

    # Behind the last interceptor

    async def _unary(self, details: CallDetails, request: Any) -> Any:
        return await self._to(details).unary(details.method, request, details.options)

    async def _tell(self, details: CallDetails, request: Any) -> None:
        await self._to(details).tell(details.method, request, details.options)

    async def _client_stream(self, details: CallDetails, requests: AsyncIterable[Any]) -> Any:
        return await self._to(details).client_stream(details.method, requests, details.options)

    def _server_stream(self, details: CallDetails, request: Any) -> AsyncIterator[Any]:
        return self._to(details).server_stream(details.method, request, details.options)

    def _bidi_stream(
        self, details: CallDetails, requests: AsyncIterable[Any]
    ) -> AsyncIterator[Any]:
        return self._to(details).bidi_stream(details.method, requests, details.options)

    def _details(self, method: Method[Any, Any], options: CallOptions) -> CallDetails:
        return CallDetails(
            method=method,
            target=self._target,
            timeout=options.timeout,
            metadata=options.metadata,
            durable=options.durable,
        )

    def _to(self, details: CallDetails) -> Caller:
        if not isinstance(details, CallDetails):
            raise LocalProtocolError(f"an interceptor went on with {details!r}: give CallDetails")
        target = details.target
        return self._gate if target == self._target else self._reach(target)
