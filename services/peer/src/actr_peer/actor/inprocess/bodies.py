"""Streams that are opened inside the process: bodies of their own, as for those of remotes.

An opening takes its turn among the calls; its handler then runs in a task beside them, so that a
long stream does not stop the actor. The items are objects, in pipes with the bounds of a stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from google.protobuf.message import DecodeError, Message

from actr_peer.actor.context import Asked, Context, checked
from actr_peer.actor.handlers import Handlers, latest_end
from actr_peer.actor.reach import Actor
from actr_peer.actor.stream_handlers import MAX_BODIES, RETRY_AFTER
from actr_peer.errors import CallError, ClosedError, Code
from actr_peer.protocol.rpc.call_errors import closing, no_request
from actr_peer.rpc.tracing import arrive
from actr_peer.service import Method
from actr_peer.tasks import Start
from actr_peer.transport.local.calls import LocalCall
from actr_peer.transport.local.pipes import LocalPipe


class LocalBodies:
    """The streams of one half of a process that the other half has opened; owned by the node."""

    def __init__(self, actor: Actor, handlers: Handlers, start: Start) -> None:
        self._actor = actor
        self._handlers = handlers
        self._start = start
        self._bodies: dict[LocalCall, asyncio.Task[None]] = {}
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._bodies)

    def open(self, call: LocalCall) -> None:
        """Start the handler of a stream whose turn it is; refused, it hears why."""
        error = self._why_not()
        if error is not None:
            call.fail(error)
            return
        route_key = call.method.route_key
        body = self._start(
            f"stream/{route_key}", self._run(call), failed=partial(self._failed, call)
        )
        self._bodies[call] = body
        body.add_done_callback(lambda _: self._ended(call, body))
        call.future.add_done_callback(lambda _: body.cancel())
        if call.replies is not None:
            call.replies.on_stop = body.cancel

    async def close(self) -> None:
        """Refuse new streams, and end those that run."""
        self._is_closed = True
        present = asyncio.current_task()
        bodies = [(call, body) for call, body in self._bodies.items() if body is not present]
        for call, body in bodies:
            call.fail(ClosedError(f"{self._actor.id} is closed"))
            body.cancel()
        await asyncio.gather(*(body for _, body in bodies), return_exceptions=True)

    def _why_not(self) -> CallError | None:
        if self._is_closed:
            return closing()
        if len(self._bodies) >= MAX_BODIES:
            return CallError(
                Code.RESOURCE_EXHAUSTED,
                f"{MAX_BODIES} streams are open here",
                retryable=True,
                retry_after=RETRY_AFTER,
            )
        return None

    async def _run(self, call: LocalCall) -> None:
        method, handler = self._handlers.bound(call.method.route_key)
        actor = self._actor
        caller = self._handlers.who[actor.id.text]
        context = Context(actor, caller, call, deadline=call.deadline, method=method)
        arrive(call)
        requests = call.request
        if isinstance(requests, LocalPipe):
            requests = _requests(requests, method)
        try:
            async with asyncio.timeout_at(latest_end(method, call.deadline)):
                if call.replies is None:
                    call.succeed(checked(method, await handler(requests, context)))
                else:
                    await _send_all(handler(requests, context), call.replies, method)
                    call.replies.end()
                    call.succeed(None)
        except Exception as exc:  # noqa: BLE001 - the user's code ends here
            call.fail(self._handlers.error_of(method, exc, Asked.by(self._actor.id, call)))

    def _failed(self, call: LocalCall, exc: BaseException) -> None:
        """The body has failed in a way that nobody foresaw: its caller hears of it."""
        call.fail(self._handlers.error_of(call.method, exc, Asked.by(self._actor.id, call)))

    def _ended(self, call: LocalCall, body: asyncio.Task[None]) -> None:
        del self._bodies[call]
        if body.cancelled() and call.is_open and not self._is_closed:  # by its own handler
            self._failed(call, asyncio.CancelledError())
        if isinstance(call.request, LocalPipe):
            call.request.close()
        if call.replies is not None:
            call.replies.on_stop = None
        call.fail(ClosedError("the stream has ended"))  # a caller that has heard of its end left


async def _send_all(items: Any, replies: LocalPipe[Any], method: Method[Any, Any]) -> None:
    try:
        async for item in items:
            await replies.send(checked(method, item))
    finally:
        # A generator that stands at its yield learns of the end here, not when it is collected.
        if hasattr(items, "aclose"):
            await items.aclose()


async def _requests(pipe: LocalPipe[Any], method: Method[Any, Any]) -> AsyncIterator[Message]:
    """The request messages of a stream, as the handler iterates them.

    Raises:
        CallError: INVALID_ARGUMENT, if one is no request; or what the caller ended its half with.
    """
    async for request in pipe:
        if not isinstance(request, method.request):  # of another module: as over a wire
            try:
                request = method.request.FromString(request.SerializeToString())
            except DecodeError as exc:
                raise no_request(method.route_key, method.request.__name__, "an item") from exc
        yield request
