"""The gate inside a process: the same calls as to a remote, with no serialization.

What holds for a remote holds here: deadlines and call chains are inherited, streams are bounded
and flow beside the scheduler, leaving one ends its handler, and errors have the same classes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextvars import copy_context
from typing import Any

from google.protobuf.message import Message

from actr_peer.errors import (
    BrokenError,
    CallError,
    Code,
    DeadlineError,
    LocalProtocolError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.call_errors import call_cycle
from actr_peer.protocol.rpc.envelopes import check_chain, check_metadata, check_trace
from actr_peer.rpc.calls import new_request_id
from actr_peer.rpc.destinations.outbound import Outbound
from actr_peer.rpc.destinations.scope import ROOT, Scope
from actr_peer.rpc.messages import (
    check_request,
    check_requests,
    checked_requests,
    parse,
    refuse_stream,
)
from actr_peer.rpc.opened import as_error
from actr_peer.rpc.remote import RemoteGate
from actr_peer.rpc.tracing import departing
from actr_peer.service import CallOptions, Method, Req, Res
from actr_peer.transport.local.calls import LocalCall, LocalEnd
from actr_peer.transport.local.pipes import LocalPipe


class LocalGate:
    """A :class:`~actr_peer.service.Caller` for the other half of this process.

    Args:
        end: Who is called.
        out: What all gates of the node share.
        mailbox_of: The own id, whose mailbox keeps durable calls; None: nobody's does.
    """

    def __init__(
        self, end: LocalEnd, out: Outbound, *, scope: Scope = ROOT, mailbox_of: ActrId | None = None
    ) -> None:
        self._end = end
        self._out = out
        self._scope = scope
        self._mailbox_of = mailbox_of

    async def unary(self, method: Method[Req, Res], request: Req, options: CallOptions) -> Res:
        """Call and wait; the handler gets ``request`` itself and its reply object comes back.

        A durable call goes by the outbox and the mailbox instead, as one to a remote.

        Raises:
            DeadlineError: If no reply came in time.
            CallError: If the call was refused or its handler failed.
            ClosedError: If the node closes.
            LimitError: If the metadata or the chain of calls is over its bound.
            LocalProtocolError: If a durable call is for the shell, which keeps nothing.
        """
        check_request(method, request)
        if options.durable:
            return await self._kept().unary(method, request, options)
        timeout = self._scope.within(options.timeout, self._out.default_timeout)
        call = self._make(method, request, options, timeout)
        return await self._answered(call, method, timeout)

    async def tell(self, method: Method[Req, Any], request: Req, options: CallOptions) -> None:
        """Send a request that has no reply.

        Raises:
            DeadlineError: If there was no place for it in time.
            LocalProtocolError: If the method is a stream, or as :meth:`unary`.
        """
        refuse_stream(method)
        check_request(method, request)
        if options.durable:
            await self._kept().tell(method, request, options)
            return
        call = self._make(method, request, options, None, is_tell=True)
        call.future.add_done_callback(_retrieve)
        await self._open(call, self._scope.within(options.timeout, self._out.default_timeout))

    def server_stream(
        self, method: Method[Req, Res], request: Req, options: CallOptions
    ) -> AsyncIterator[Res]:
        """Open a stream of replies; leaving the iteration early ends its handler."""
        check_request(method, request)
        return self._replies(method, request, None, options)

    async def client_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> Res:
        """Send a stream of requests and wait for the one reply."""
        check_requests(method, requests)
        timeout = self._scope.within(options.timeout, None)
        pipe = self._pipe(method)
        call = self._make(method, pipe, options, timeout)
        feeder = self._feed(call, requests, on_error=call.fail)
        try:
            return await self._answered(call, method, timeout)
        finally:
            feeder.cancel()

    def bidi_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> AsyncIterator[Res]:
        """Open a stream both ways; leaving the iteration early ends both halves."""
        check_requests(method, requests)
        return self._replies(method, self._pipe(method), requests, options)

    async def _replies(
        self,
        method: Method[Any, Res],
        request: object,
        requests: AsyncIterable[Any] | None,
        options: CallOptions,
    ) -> AsyncIterator[Res]:
        timeout = self._scope.within(options.timeout, None)
        call = self._make(method, request, options, timeout)
        replies = call.replies = self._pipe(method)
        timer: asyncio.TimerHandle | None = None
        feeder: asyncio.Task[None] | None = None
        try:
            if timeout is not None:
                error = DeadlineError(f"no end of {method.route_key} in {timeout:g} s")
                loop = asyncio.get_running_loop()
                timer = loop.call_later(timeout, replies.fail, error)
            await self._open(call, timeout)
            if requests is not None:
                feeder = self._feed(call, requests, on_error=replies.fail)
            async for reply in replies:
                yield _checked(method, reply)
        finally:
            if timer is not None:
                timer.cancel()
            if feeder is not None:
                feeder.cancel()
            replies.close()
            call.future.cancel()

    async def _open(self, call: LocalCall, timeout: float | None) -> None:
        lane = self._end.lane(call.method.payload_type)
        if not lane.is_full:  # nearly always
            await lane.send(call)
            return
        try:
            async with asyncio.timeout(timeout):
                await lane.send(call)
        except TimeoutError as exc:
            raise DeadlineError(
                f"{call.method.route_key} found no place in {timeout:g} s: too many calls wait here"
            ) from exc

    async def _answered(
        self, call: LocalCall, method: Method[Any, Res], timeout: float | None
    ) -> Res:
        await self._open(call, timeout)
        timer: asyncio.TimerHandle | None = None
        if timeout is not None:
            # One timer on the call: asyncio.timeout costs a tenth of all of it.
            assert call.deadline is not None
            timer = call.future.get_loop().call_at(call.deadline, call.expire, timeout)
        try:
            return _checked(method, await call.future)
        finally:
            if timer is not None:
                timer.cancel()

    def _pipe(self, method: Method[Any, Any]) -> LocalPipe[Any]:
        return LocalPipe(method.payload_type, self._end.turnstile)

    def _feed(
        self,
        call: LocalCall,
        requests: AsyncIterable[Any],
        *,
        on_error: Callable[[Exception], None],
    ) -> asyncio.Task[None]:
        """Start what sends the requests of a stream, beside whoever waits for what comes of it."""
        return self._out.start(
            f"feed/{call.request_id}",
            _feed(call, requests, on_error),
            context=copy_context(),  # the requests are the caller's code
            failed=lambda exc: on_error(as_error(exc)),
        )

    def _make(
        self,
        method: Method[Any, Any],
        request: object,
        options: CallOptions,
        timeout: float | None,
        *,
        is_tell: bool = False,
    ) -> LocalCall:
        scope = self._scope
        # No handler waits for a tell, so that it is no part of a chain.
        call_chain = () if is_tell else scope.call_chain
        if options.metadata:
            check_metadata(options.metadata)
        if call_chain:
            check_chain(call_chain)
            if self._end.running in call_chain:
                raise call_cycle(method.route_key)
        traceparent, tracestate = departing(scope.traceparent, scope.tracestate)
        if traceparent:
            check_trace(traceparent, tracestate)
        loop = asyncio.get_running_loop()
        return LocalCall(
            method,
            request,
            loop.create_future(),
            metadata=options.metadata,
            deadline=None if timeout is None else loop.time() + timeout,
            request_id=new_request_id(),
            call_chain=call_chain,
            traceparent=traceparent,
            tracestate=tracestate,
            is_tell=is_tell,
        )

    def _kept(self) -> RemoteGate:
        """The gate by the own mailbox, as to a remote."""
        if self._mailbox_of is None:
            raise LocalProtocolError(
                "the shell keeps no calls: only those of the workload can be durable"
            )
        return RemoteGate(self._out, self._mailbox_of, self._scope)


async def _feed(
    call: LocalCall, requests: AsyncIterable[Any], on_error: Callable[[Exception], None]
) -> None:
    """Send all requests and end their half; an error of the user's iterable is the caller's, and
    the handler hears that there was one."""
    pipe = call.request
    try:
        async for request in checked_requests(call.method, requests):
            await pipe.send(request)
    except BrokenError:
        return  # the handler takes no more: its reply says why
    except Exception as exc:  # noqa: BLE001 - the iterable is the user's code
        pipe.end(CallError(Code.ABORTED, "the caller's request stream failed"))
        on_error(exc)
    else:
        pipe.end()


def _checked(method: Method[Any, Res], reply: object) -> Res:
    """What came, as the type that this caller knows the method by: itself, nearly always.

    Raises:
        RemoteProtocolError: If it cannot be read as one.
    """
    if isinstance(reply, method.reply):
        return reply
    assert isinstance(reply, Message), "the other half gives messages"
    return parse(method.reply, reply.SerializeToString(), method.route_key)


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Nobody waits for a tell: its error has been logged by the handler's side."""
    if not future.cancelled():
        future.exception()
