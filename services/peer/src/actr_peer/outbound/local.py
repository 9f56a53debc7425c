"""The gate inside a process: the same calls as to a remote, with no serialization (spec 3.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from actr_peer.errors import DeadlineError
from actr_peer.outbound.calls import new_request_id
from actr_peer.outbound.gates import ROOT, Scope
from actr_peer.outbound.replies import refuse_stream
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
        reply: Res = await self._call(method, request, options, self._default_timeout)
        return reply

    async def tell(self, method: Method[Req, Any], request: Req, options: CallOptions) -> None:
        """Send a request that has no reply.

        Raises:
            LocalProtocolError: If the method is a stream.
        """
        refuse_stream(method)
        call = self._make(method, request, options, options.timeout, is_tell=True)
        call.future.add_done_callback(_retrieve)
        await self._end.send(call)

    async def server_stream(
        self, method: Method[Req, Res], request: Req, options: CallOptions
    ) -> AsyncIterator[Res]:
        """Open a stream of replies; the handler makes each item when it is asked for."""
        async for reply in await self._call(method, request, options, None):
            yield reply

    async def client_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> Res:
        """Hand a stream of requests over and wait for the one reply."""
        reply: Res = await self._call(method, requests, options, None)
        return reply

    async def bidi_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> AsyncIterator[Res]:
        """Open a stream both ways."""
        async for reply in await self._call(method, requests, options, None):
            yield reply

    async def _call(
        self, method: Method[Any, Any], request: object, options: CallOptions, default: float | None
    ) -> Any:
        timeout = options.timeout if options.timeout is not None else default
        call = self._make(method, request, options, timeout)
        try:
            async with asyncio.timeout(timeout):
                await self._end.send(call)
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
        return LocalCall(
            method,
            request,
            asyncio.get_running_loop().create_future(),
            metadata=options.metadata,
            timeout=timeout,
            request_id=new_request_id(),
            call_chain=self._scope.call_chain,
            traceparent=self._scope.traceparent,
            tracestate=self._scope.tracestate,
            is_tell=is_tell,
        )


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Nobody waits for a tell: its error has been logged by the handler's side."""
    if not future.cancelled():
        future.exception()
