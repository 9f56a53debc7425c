"""The gate to a remote actor: calls, tells and streams leave here.

One deadline covers connecting, sending, retries and waiting. A retry carries the same request
id, so that the callee's mailbox knows it. Cancelling a call cancels its handler.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextvars import copy_context
from math import inf
from typing import Any

from actr_peer.errors import CallError, Code, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import TRAFFIC, PayloadType
from actr_peer.protocol.rpc.envelopes import (
    NO_EXTRAS,
    Envelope,
    Extras,
    encode_cancel,
    encode_request,
)
from actr_peer.protocol.streams.chunks import NO_CREDIT, Credit
from actr_peer.protocol.wire.backoff import doubled
from actr_peer.rpc.calls import PendingCall, new_request_id
from actr_peer.rpc.destinations.contracts import Agreement
from actr_peer.rpc.destinations.lateness import late
from actr_peer.rpc.destinations.outbound import Outbound
from actr_peer.rpc.destinations.scope import ROOT, Scope
from actr_peer.rpc.destinations.tells import Tell
from actr_peer.rpc.messages import (
    call_fails,
    check_request,
    check_requests,
    checked_requests,
    feed,
    parse,
    read_reply,
    refuse_stream,
)
from actr_peer.rpc.opened import Opened, as_error
from actr_peer.rpc.tracing import departing
from actr_peer.service import CallOptions, Method, Req, Res
from actr_peer.transport.link import Link

MEND_RETRY_AFTER = 1.0
"""Seconds that a caller which does not wait is told to: the first redial's delay."""
FIRST_RETRY_DELAY = 0.1
"""Seconds before the second try where the callee names none; doubled for each further one."""


class RemoteGate:
    """A :class:`~actr_peer.service.Caller` for one remote actor."""

    def __init__(
        self, outbound: Outbound, remote: ActrId, scope: Scope, *, wait_for_ready: bool = True
    ) -> None:
        self.remote = remote
        self.sent = 0
        """Messages that have left by this gate and ask for an answer; who counts has its own."""
        self._waits = wait_for_ready
        self._out = outbound
        self._scope = scope

    async def unary(self, method: Method[Req, Res], request: Req, options: CallOptions) -> Res:
        """Call and wait for the reply.

        Raises:
            UnreachableError: If no wire to the remote could be made, also in the time there was: it
                has not run.
            DeadlineError: If no reply came in time over a link that works.
            CallError: If the far side refused the call or its handler failed.
            BrokenError: If the remote was lost while the call waited: it may have run.
            ClosedError: If this node closes.
            LimitError: If the request is longer than a message may be.
            ConfigError: If it is durable, and this actor has no file to keep it in.
        """
        check_request(method, request)
        timeout = self._unary_timeout(options)
        if options.durable:
            self._out.check_durable(method.route_key)
            payload = request.SerializeToString()
            kept = self._out.durable.call(
                self.remote, method, payload, options, timeout, inherited=self._extras()
            )
            return read_reply(method, await kept)
        loop = asyncio.get_running_loop()
        request_id = new_request_id()
        call = self._out.calls.open(self.remote, request_id, method.payload_type, loop)
        # One timer on the call instead of asyncio.timeout: that costs a sixth of a whole call.
        timer = loop.call_later(timeout, call.expire)
        try:
            payload = request.SerializeToString()
            reply = await self._exchange(call, method, payload, options, loop.time() + timeout)
        except TimeoutError as exc:
            self._cancel(call)
            raise self._late(f"no reply to {method.route_key} from", timeout) from exc
        except asyncio.CancelledError:
            self._cancel(call)
            raise
        finally:
            timer.cancel()
            self._out.calls.close(call)
        return read_reply(method, reply)

    async def tell(self, method: Method[Req, Any], request: Req, options: CallOptions) -> None:
        """Send a request that has no reply; returns when it is accepted for sending.

        Raises:
            LocalProtocolError: If the method is a stream.
            ConfigError: As :meth:`unary`.
        """
        refuse_stream(method)
        check_request(method, request)
        if options.durable:
            self._out.check_durable(method.route_key)
            payload, extras = request.SerializeToString(), self._extras(is_awaited=False)
            tell = self._out.durable.tell
            await tell(self.remote, method, payload, options, inherited=extras)
            return
        request_id = new_request_id()
        message = encode_request(
            request_id,
            method.route_key,
            request.SerializeToString(),
            is_tell=True,
            metadata=options.metadata,
            contract=self._out.contracts.number(self.remote, method),
            extras=self._extras(is_awaited=False),
        )
        link, timeout = self._link(), self._unary_timeout(options)
        try:
            async with asyncio.timeout(timeout):
                await link.lane(method.payload_type).send(message)
        except TimeoutError as exc:
            raise self._late(f"no room for {method.route_key} at", timeout) from exc
        self._out.tells.sent(request_id, Tell(self.remote, method, message))

    async def server_stream(
        self, method: Method[Req, Res], request: Req, options: CallOptions
    ) -> AsyncIterator[Res]:
        """Open a stream of replies; leaving the iteration early tells the far side to stop."""
        check_request(method, request)
        payload = request.SerializeToString()
        contract = self._out.contracts.agree(self.remote, method)
        while True:
            try:
                async with self._opened(method, options, contract, payload) as stream:
                    self.sent += 1
                    async for chunk in stream.reader:
                        contract.is_taken = True
                        yield parse(method.reply, chunk.data, method.route_key)
                return
            except CallError as exc:
                if not contract.renew(exc):
                    raise

    async def client_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> Res:
        """Send a stream of requests and wait for the one reply."""
        check_requests(method, requests)
        contract = self._out.contracts.agree(self.remote, method)
        requests = checked_requests(method, requests, contract)
        while True:
            reply = await self._upload(method, requests, options, contract)
            if reply.error is None or not contract.renew(reply.error):
                return read_reply(method, reply)

    async def _upload(
        self,
        method: Method[Any, Any],
        requests: AsyncIterable[Any],
        options: CallOptions,
        contract: Agreement,
    ) -> Envelope:
        """Open a stream of requests and wait for what it is answered with."""
        channel_id = new_request_id()
        timeout = self._scope.within(options.timeout, None)
        loop = asyncio.get_running_loop()
        call = self._out.calls.open(self.remote, channel_id, PayloadType.RPC_RELIABLE, loop)
        try:
            async with (
                asyncio.timeout(timeout) as limit,
                self._opened(method, options, contract, channel_id=channel_id) as stream,
            ):
                call.sent(stream.link)
                self.sent += 1
                fails = call_fails(call)
                feeder = self._out.start(
                    f"feed/{channel_id}",
                    feed(stream.writer, requests, on_error=fails),
                    context=copy_context(),  # the requests are the caller's code
                    failed=lambda exc: fails(as_error(exc)),
                )
                try:
                    reply = await call.future
                    stream.is_answered = True
                    return reply
                finally:
                    feeder.cancel()
        except TimeoutError as exc:
            if not limit.expired():
                raise  # the request stream's own
            raise self._late(f"no reply to {method.route_key} from", timeout) from exc
        finally:
            self._out.calls.close(call)

    async def bidi_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> AsyncIterator[Res]:
        """Open a stream both ways; leaving the iteration early ends both halves."""
        check_requests(method, requests)
        contract = self._out.contracts.agree(self.remote, method)
        requests = checked_requests(method, requests, contract)
        while True:
            try:
                async with self._opened(method, options, contract) as stream:
                    self.sent += 1
                    feeder = self._out.start(
                        f"feed/{stream.writer.channel_id}",
                        feed(stream.writer, requests, on_error=stream.reader.fail),
                        context=copy_context(),  # the requests are the caller's code
                        failed=stream.fail,
                    )
                    try:
                        async for chunk in stream.reader:
                            contract.is_taken = True
                            yield parse(method.reply, chunk.data, method.route_key)
                        return
                    finally:
                        feeder.cancel()
            except CallError as exc:
                if not contract.renew(exc):
                    raise

    def _opened(
        self,
        method: Method[Any, Any],
        options: CallOptions,
        contract: Agreement,
        payload: bytes = b"",
        *,
        channel_id: str = "",
    ) -> Opened:
        channel_id = channel_id or new_request_id()
        timeout = self._scope.within(options.timeout, None)

        def encode(credit: Credit) -> bytes:
            return encode_request(
                channel_id,
                method.route_key,
                payload,
                timeout=timeout,
                metadata=options.metadata,
                contract=contract.number,
                extras=self._extras(channel_id=channel_id, credit=credit),
            )

        return Opened(
            self._link(),
            self._out.streams,
            method,
            channel_id=channel_id,
            timeout=timeout,
            encode=encode,
            late=self._late,
        )

    async def _exchange(
        self,
        call: PendingCall,
        method: Method[Any, Any],
        payload: bytes,
        options: CallOptions,
        deadline: float,
    ) -> Envelope:
        """Send and wait, again on transient refusals, for as long as the caller's timeout lets.

        Args:
            deadline: By the loop's clock.
        """
        loop = call.future.get_loop()
        contract = self._out.contracts.agree(self.remote, method)
        attempt, tries = 1, TRAFFIC[method.payload_type].tries
        while True:
            left = deadline - loop.time()
            call.message = encode_request(
                call.request_id,
                method.route_key,
                payload,
                timeout=left,
                metadata=options.metadata,
                contract=contract.number,
                extras=self._extras(),
            )
            link = self._link()
            lane = link.lane(method.payload_type)
            if not lane.offer(call.message):
                async with asyncio.timeout(left):
                    await lane.send(call.message)
            call.sent(link)
            self.sent += 1
            reply = await call.future
            error = reply.error
            if error is None:
                return reply
            if contract.renew(error):
                call.renew()
                continue
            if not error.retryable or attempt == tries:
                return reply
            call.renew()
            delay = error.retry_after or doubled(FIRST_RETRY_DELAY, attempt, inf)
            if delay >= deadline - loop.time():
                return reply
            await asyncio.sleep(delay)
            attempt += 1

    def _link(self) -> Link:
        """The link to the remote.

        Raises:
            CallError: UNAVAILABLE, if it is being mended and this gate does not wait.
        """
        link = self._out.transport.link(self.remote)
        if not self._waits and link.was_ready and not link.is_ready:
            raise CallError(
                Code.UNAVAILABLE,
                f"the link to {self.remote} is being mended",
                retryable=True,
                retry_after=MEND_RETRY_AFTER,
            )
        return link

    def _late(self, what: str, timeout: float | None) -> PeerError:
        """The error of what did not come about in time."""
        text = f"{what} {self.remote} in {timeout:g} s"
        return late(self.remote, self._out.transport.find(self.remote), text, self._out.trouble())

    def _cancel(self, call: PendingCall) -> None:
        link = self._out.transport.find(self.remote)
        if link is not None and call.is_sent:
            link.lane(call.payload_type).cancel(encode_cancel(call.request_id))

    def _unary_timeout(self, options: CallOptions) -> float:
        if self._scope is ROOT:
            return self._out.default_timeout if options.timeout is None else options.timeout
        timeout = self._scope.within(options.timeout, self._out.default_timeout)
        assert timeout is not None
        return timeout

    def _extras(
        self, *, channel_id: str = "", credit: Credit = NO_CREDIT, is_awaited: bool = True
    ) -> Extras:
        scope = self._scope
        # No handler waits for a tell, so that it is no part of a chain.
        call_chain = scope.call_chain if is_awaited else ()
        traceparent, tracestate = departing(scope.traceparent, scope.tracestate)
        if not (channel_id or traceparent or call_chain):
            return NO_EXTRAS
        return Extras(
            traceparent=traceparent,
            tracestate=tracestate,
            channel_id=channel_id,
            credit=credit.items,
            credit_bytes=credit.size,
            call_chain=call_chain,
        )
