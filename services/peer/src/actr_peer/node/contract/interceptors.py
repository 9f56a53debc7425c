"""Interceptors of handlers: each sees a request before its handler, and what that gives."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, TypeAlias, cast

from actr_peer.actor.context import Context
from actr_peer.errors import ConfigError
from actr_peer.node.contract.handlers import innermost, mismatch_of_kind
from actr_peer.rpc.destinations.interceptors import ClientInterceptor
from actr_peer.service import Method, Service

Answers: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
"""What is behind an interceptor: a handler with one reply."""
Streams: TypeAlias = Callable[[Any, Context], AsyncIterator[Any]]
"""Likewise, with a stream of replies."""


class HandlerInterceptor:
    """Base of interceptors of handlers, in the manner of grpc.aio.

    ``admit`` is enough to refuse requests. To see what a handler gives or raises, or to answer in
    its place, override the method of its kind: ``proceed(request, ctx)`` goes on. ``ctx.method``
    tells what is asked, ``ctx.caller`` by whom, ``ctx.metadata`` what the caller says besides. One
    object is used by all requests, also at the same time.
    """

    async def admit(self, ctx: Context) -> None:
        """Called before every handler; a ``CallError`` that it raises is the answer."""

    async def handle_unary(self, proceed: Answers, request: Any, ctx: Context) -> Any:
        """One request, and one reply. What a handler returns that has put its reply off is to be
        returned as it is."""
        await self.admit(ctx)
        return await proceed(request, ctx)

    async def handle_client_stream(
        self, proceed: Answers, requests: AsyncIterator[Any], ctx: Context
    ) -> Any:
        """A stream of requests, and one reply."""
        await self.admit(ctx)
        return await proceed(requests, ctx)

    async def handle_server_stream(
        self, proceed: Streams, request: Any, ctx: Context
    ) -> AsyncIterator[Any]:
        """One request, and a stream of replies."""
        await self.admit(ctx)
        async with aclosing(cast("Any", proceed(request, ctx))) as replies:
            async for reply in replies:
                yield reply

    async def handle_bidi_stream(
        self, proceed: Streams, requests: AsyncIterator[Any], ctx: Context
    ) -> AsyncIterator[Any]:
        """A stream both ways."""
        await self.admit(ctx)
        async with aclosing(cast("Any", proceed(requests, ctx))) as replies:
            async for reply in replies:
                yield reply


Interceptor: TypeAlias = ClientInterceptor | HandlerInterceptor
"""One object may be both."""


class Interceptors:
    """All interceptors of a node, in order; owned by it.

    Raises:
        ConfigError: If one is neither a client's nor a handler's, or a method of it is not async,
            or gives a stream where there is one reply, or one where there is a stream.
    """

    def __init__(self, given: Iterable[Interceptor] = ()) -> None:
        for each in (listed := tuple(given)):
            if not isinstance(each, ClientInterceptor | HandlerInterceptor):
                raise ConfigError(
                    f"{each!r} is no interceptor: give an object of a class that derives from "
                    "ClientInterceptor or HandlerInterceptor"
                )
            _check(each)
        self.of_calls: Sequence[ClientInterceptor] = [
            each for each in listed if isinstance(each, ClientInterceptor)
        ]
        self.of_handlers: Sequence[HandlerInterceptor] = [
            each for each in listed if isinstance(each, HandlerInterceptor)
        ]

    def wrap(self, method: Method[Any, Any], handler: Callable[..., Any]) -> Callable[..., Any]:
        """``handler`` behind them, the first outermost; itself, if there are none."""
        for each in reversed(self.of_handlers):
            handler = partial(getattr(each, f"handle_{method.kind.value}"), handler)
        return handler


def interceptors_of(
    services: Iterable[Service], given: Iterable[Interceptor]
) -> tuple[Interceptor, ...]:
    """Those that are given, then those that the classes of the services name.

    Raises:
        ConfigError: If what is given cannot be iterated over.
    """
    if not isinstance(given, Iterable):
        raise ConfigError(f"interceptors = {given!r}: give a list of them, also of one")
    named = (each for service in services for each in type(service).INTERCEPTORS)
    return (*given, *cast("Iterable[Interceptor]", named))


def _check(interceptor: Interceptor) -> None:
    """Look at each method that ``interceptor`` may have in place of its base's."""
    for base in (ClientInterceptor, HandlerInterceptor):
        if not isinstance(interceptor, base):
            continue
        for name, of_base in inspect.getmembers(base, inspect.isfunction):
            own = innermost(getattr(interceptor, name))
            streams = inspect.isasyncgenfunction(of_base)
            if (
                inspect.isfunction(own)
                and (what := mismatch_of_kind(own, streams=streams)) is not None
            ):
                taken = ", ".join(inspect.signature(of_base).parameters)
                how = "a `yield` for each reply" if streams else "a `return`"
                raise ConfigError(
                    f"{type(interceptor).__name__}.{name} {what}: "
                    f"write `async def {name}({taken})` with {how}"
                )
