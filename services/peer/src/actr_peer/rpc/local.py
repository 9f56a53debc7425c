"""The gate inside a process: the same calls as to a remote, with no serialization."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from actr_peer.errors import CallError, Code, DeadlineError
from actr_peer.rpc.calls import new_request_id
from actr_peer.rpc.remote import ROOT, Scope
from actr_peer.rpc.replies import refuse_stream
from actr_peer.rpc.requests import check_request, check_requests, checked_requests
from actr_peer.service import CallOptions, Method, Req, Res
from actr_peer.transport.local import LocalCall, LocalEnd


class LocalGate:
    """A :class:`~actr_peer.service.Caller` for the other half of this process."""

    def __init__(self, end: LocalEnd, *, default_timeout: float, scope: Scope = ROOT) -> None:
        self._end = end
        self._default_timeout = default_timeout
        self._scope = scope

    async def unary(self, method: Method[Req, Res], request: Req, options: CallOptions) -> Res:
        """Call and wait; the handler gets ``request`` itself and its reply object comes back.

        Raises:
            DeadlineError: If no reply came in time.
            CallError: If the handler failed.
            ClosedError: If the node closes.
        """
        check_request(method, request)
        reply: Res = await self._call(method, request, options, self._default_timeout)
        return reply

    async def tell(self, method: Method[Req, Any], request: Req, options: CallOptions) -> None:
        """Send a request that has no reply.

        Raises:
            LocalProtocolError: If the method is a stream.
        """
        refuse_stream(method)
        check_request(method, request)
        call = self._make(method, request, options, options.timeout, is_tell=True)
        call.future.add_done_callback(_retrieve)
        await self._end.lane(method.payload_type).send(call)

    def server_stream(
        self, method: Method[Req, Res], request: Req, options: CallOptions
    ) -> AsyncIterator[Res]:
        """Open a stream of replies; the handler makes each item when it is asked for."""
        check_request(method, request)
        return self._replies(method, request, options)

    async def client_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> Res:
        """Hand a stream of requests over and wait for the one reply."""
        check_requests(method, requests)
        reply: Res = await self._call(method, requests, options, None)
        return reply

    def bidi_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> AsyncIterator[Res]:
        """Open a stream both ways."""
        check_requests(method, requests)
        return self._replies(method, requests, options)

    async def _replies(
        self, method: Method[Any, Res], request: object, options: CallOptions
    ) -> AsyncIterator[Res]:
        replies = await self._call(method, request, options, None)
        try:
            async for reply in replies:
                yield reply
        finally:
            await replies.aclose()

    async def _call(
        self, method: Method[Any, Any], request: object, options: CallOptions, default: float | None
    ) -> Any:
        timeout = options.timeout if options.timeout is not None else default
        call = self._make(method, request, options, timeout)
        try:
            async with asyncio.timeout(timeout):
                await self._end.lane(method.payload_type).send(call)
                return await call.future
        except TimeoutError as exc:
            raise DeadlineError(f"no reply to {method.route_key} in {timeout:g} s") from exc

    def _make(
        self,
        method: Method[Any, Any],
        request: object,
        options: CallOptions,
        timeout: float | None,
        *,
        is_tell: bool = False,
    ) -> LocalCall:
        loop = asyncio.get_running_loop()
        call = LocalCall(
            method,
            request,
            loop.create_future(),
            metadata=options.metadata,
            deadline=None if timeout is None else loop.time() + timeout,
            request_id=new_request_id(),
            call_chain=self._scope.call_chain,
            traceparent=self._scope.traceparent,
            tracestate=self._scope.tracestate,
            is_tell=is_tell,
        )
        if method.kind.requests_stream:
            call.request = _fed(call, request)
        return call


async def _fed(call: LocalCall, requests: Any) -> AsyncIterator[Any]:
    """The requests of a stream as the handler has them; an error of the caller's own iterable is
    the caller's, as with a remote, and the handler hears that there was one."""
    try:
        async for request in checked_requests(call.method, requests):
            yield request
    except Exception as exc:
        if not call.future.done():
            call.future.set_exception(exc)
        raise CallError(Code.ABORTED, "the caller's request stream failed") from exc


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Nobody waits for a tell: its error has been logged by the handler's side."""
    if not future.cancelled():
        future.exception()
