"""Around every handler, and every caller of another actor: how long it took, and how it ended.

It stands outermost, so that what interceptors do is in it; each call is one addition at its end.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from time import perf_counter
from typing import Any, TypeAlias, TypeVar, cast

from actr_peer.actor.context import LATER, Context, turn_of
from actr_peer.actor.turn import Deferred, Outcome, Stopped, Turn
from actr_peer.errors import CallError, Code, DeadlineError
from actr_peer.node.observe.durations import OK, CallsView, CallTally, Durations, Side
from actr_peer.protocol.rpc.call_errors import code_of
from actr_peer.rpc.local import LocalGate
from actr_peer.service import Caller, CallOptions, Method, Req, Res

Wrap: TypeAlias = Callable[[Method[Any, Any], Callable[..., Any]], Callable[..., Any]]
"""Stands around a handler of a method."""

T = TypeVar("T")

_SERVER: Side = "server"
_CLIENT: Side = "client"


class Meter:
    """Of all calls of an actor; owned by its node.

    Attributes:
        waits: From a request's arrival to its handler's start.
    """

    def __init__(self) -> None:
        self.waits = Durations()
        self._tally = CallTally()

    def calls(self) -> tuple[CallsView, ...]:
        return self._tally.view()

    def caller(self, gate: Caller) -> Caller:
        """``gate``, measured; one that leads into this process is left as it is, for there the
        handler is measured, and that is all of the call."""
        return gate if isinstance(gate, LocalGate) else MeteredGate(gate, self._tally)

    def around(self, wrap: Wrap) -> Wrap:
        """``wrap``, and what it gives is measured."""

        def measured(method: Method[Any, Any], handler: Callable[..., Any]) -> Callable[..., Any]:
            handler = wrap(method, handler)
            if method.kind.replies_stream:
                return partial(self._items, method, handler)
            return self._replying(method, handler)

        return measured

    def _replying(
        self, method: Method[Any, Any], handler: Callable[..., Any]
    ) -> Callable[..., Any]:
        """What is looked up once is not looked up by each call: it is on the path of all."""
        well = partial(self._tally.series, _SERVER, method.route_key, OK)
        add_wait, add = self.waits.add, None

        async def reply_to(request: Any, ctx: Context) -> Any:
            nonlocal add
            began, turn = perf_counter(), turn_of(ctx)
            came_at = None if turn is None or turn.request is None else turn.request.arrived_at
            if turn is not None and came_at is not None:  # else it waited through a restart
                add_wait(turn.now() - came_at)
            try:
                reply = await handler(request, ctx)
            except BaseException as exc:
                self._ended(method, began, _code(exc, ctx))
                raise
            if reply is LATER and turn is not None and turn.deferred is not None:
                self._await(method, began, turn.deferred)
                return reply
            if add is None:  # a method that was never called has no series
                add = well().add
            add(perf_counter() - began)
            return reply

        return reply_to

    async def _items(
        self, method: Method[Any, Any], handler: Callable[..., Any], request: Any, ctx: Context
    ) -> AsyncIterator[Any]:
        began, items = perf_counter(), handler(request, ctx)
        try:
            async for item in items:
                yield item
        except BaseException as exc:
            self._ended(method, began, _code(exc, ctx))
            raise
        finally:
            await _close(items)
        self._ended(method, began, OK)

    def _await(self, method: Method[Any, Any], began: float, deferred: Deferred) -> None:
        """The handler has put its reply off: the call ends with that."""

        def finished(outcome: Outcome) -> None:
            if outcome.code is not None:
                code = outcome.code.name
            elif outcome.failed:  # it did not come in time, or nobody waits for it
                code = _stopped(deferred.turn).name
            else:
                code = OK
            self._ended(method, began, code)

        deferred.when_finished(finished)

    def _ended(self, method: Method[Any, Any], began: float, code: str) -> None:
        self._tally.add(_SERVER, method.route_key, code, perf_counter() - began)


class MeteredGate:
    """A :class:`~actr_peer.service.Caller` that is measured; it does what the one behind it does.

    Args:
        gate: Who calls.
        tally: Is added to.
    """

    def __init__(self, gate: Caller, tally: CallTally) -> None:
        self._gate = gate
        self._tally = tally

    # These return what is to be awaited, and await nothing: a call has one frame more, not two.

    def unary(
        self, method: Method[Req, Res], request: Req, options: CallOptions
    ) -> Coroutine[Any, Any, Res]:
        return self._measured(method, partial(self._gate.unary, method, request, options))

    def tell(
        self, method: Method[Req, Any], request: Req, options: CallOptions
    ) -> Coroutine[Any, Any, None]:
        return self._measured(method, partial(self._gate.tell, method, request, options))

    def client_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> Coroutine[Any, Any, Res]:
        return self._measured(method, partial(self._gate.client_stream, method, requests, options))

    def server_stream(
        self, method: Method[Req, Res], request: Req, options: CallOptions
    ) -> AsyncIterator[Res]:
        return self._replies(method, self._gate.server_stream(method, request, options))

    def bidi_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> AsyncIterator[Res]:
        return self._replies(method, self._gate.bidi_stream(method, requests, options))

    async def _measured(self, method: Method[Any, Any], call: Callable[[], Awaitable[T]]) -> T:
        began = perf_counter()
        try:
            reply = await call()
        except BaseException as exc:
            self._ended(method, began, _name(exc))
            raise
        self._ended(method, began, OK)
        return reply

    async def _replies(
        self, method: Method[Any, Res], replies: AsyncIterator[Res]
    ) -> AsyncIterator[Res]:
        began = perf_counter()
        try:
            async for reply in replies:
                yield reply
        except BaseException as exc:
            self._ended(method, began, _name(exc))
            raise
        finally:
            await _close(replies)
        self._ended(method, began, OK)

    def _ended(self, method: Method[Any, Any], began: float, code: str) -> None:
        self._tally.add(_CLIENT, method.route_key, code, perf_counter() - began)


async def _close(items: AsyncIterator[Any]) -> None:
    """A generator that stands at its yield learns of the end here, not when it is collected."""
    if hasattr(items, "aclose"):
        await cast("Any", items).aclose()


def _name(exc: BaseException) -> str:
    """How a call has ended that raised at its caller."""
    is_given_up = isinstance(exc, CancelledError | GeneratorExit)
    return (Code.CANCELLED if is_given_up else code_of(exc)).name


def _code(exc: BaseException, ctx: Context) -> str:
    """How a call has ended whose handler raised: as its caller is told."""
    if isinstance(exc, CancelledError | GeneratorExit):
        is_late = ctx.remaining() == 0
        return (Code.DEADLINE_EXCEEDED if is_late else _stopped(turn_of(ctx))).name
    if isinstance(exc, TimeoutError | DeadlineError):
        return Code.DEADLINE_EXCEEDED.name
    return (code_of(exc) if isinstance(exc, CallError) else Code.INTERNAL).name


def _stopped(turn: Turn | None) -> Code:
    """Why a handler, or the wait for its reply, was cancelled."""
    is_late = turn is not None and turn.stopped is Stopped.TIMEOUT
    return Code.DEADLINE_EXCEEDED if is_late else Code.CANCELLED
