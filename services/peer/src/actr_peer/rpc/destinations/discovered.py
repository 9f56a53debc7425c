"""The gate to an actor type: to the best actor of it that is online."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Protocol, cast

from actr_peer.errors import BrokenError, DeadlineError, LocalProtocolError, UnreachableError
from actr_peer.protocol.identity import ActrId, ActrType
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.rpc.destinations.scope import Scope
from actr_peer.service import Caller, CallOptions, Method, Req, Res

ENOUGH = 2
"""Actors to ask for: the best one may be the own, which is not chosen."""


class Asker(Protocol):
    """Who asks for the type."""

    @property
    def id(self) -> ActrId: ...

    @property
    def call_timeout(self) -> float:
        """Seconds of a unary call that says none."""


class Discover(Protocol):
    def __call__(self, *, limit: int) -> Awaitable[list[Presence]]: ...


class DiscoveredGate:
    """A :class:`~actr_peer.service.Caller` that chooses its actor when it is first used.

    It stays with that actor, so that what one call leaves there the next one finds. Once a call
    says that the actor cannot be reached or was lost, the next one chooses anew; once the time of
    one was over, the next one does so if the actor is not online any more. Choosing is within the
    time of the call that waits for it. The own actor is never chosen.

    Args:
        actor: Whose gate it is.
        discover: Asks who is online of the type, best first.
        lookup: Asks whether one actor is online.
        gate: The caller for the actor that is chosen.
    """

    def __init__(
        self,
        actr_type: ActrType,
        actor: Asker,
        *,
        discover: Discover,
        lookup: Callable[[ActrId], Awaitable[Presence | None]],
        gate: Callable[[ActrId], Caller],
        scope: Scope,
    ) -> None:
        self._type = actr_type
        self._own = actor.id
        self._discover = discover
        self._lookup = lookup
        self._gate = gate
        self._scope = scope
        self._default_timeout = actor.call_timeout
        self._chosen: ActrId | None = None
        self._is_doubtful = False
        """The time of a call to the chosen one was over: it may be gone."""
        self._choosing = asyncio.Lock()

    async def unary(self, method: Method[Req, Res], request: Req, options: CallOptions) -> Res:
        """Choose, call, and wait for the reply.

        Raises:
            UnreachableError: If no other actor of the type is online.
            DeadlineError: If the time is over before one is chosen. Else as the actor's own gate.
            LocalProtocolError: If the call has a key of its own: asked again by the key, after a
                restart, it would run at another actor.
        """
        chosen, options = await self._choose(options, self._default_timeout)
        with _Forgets(self, chosen):
            return await self._gate(chosen).unary(method, request, options)

    async def tell(self, method: Method[Req, Any], request: Req, options: CallOptions) -> None:
        """Choose, and send a request that has no reply; raises as :meth:`unary`."""
        chosen, options = await self._choose(options, self._default_timeout)
        with _Forgets(self, chosen):
            await self._gate(chosen).tell(method, request, options)

    async def client_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> Res:
        """Choose, send a stream of requests, and wait for the one reply; raises as :meth:`unary`"""
        chosen, options = await self._choose(options, None)
        with _Forgets(self, chosen):
            return await self._gate(chosen).client_stream(method, requests, options)

    async def server_stream(
        self, method: Method[Req, Res], request: Req, options: CallOptions
    ) -> AsyncIterator[Res]:
        """Choose, and open a stream of replies; raises as :meth:`unary`."""
        chosen, options = await self._choose(options, None)
        replies = self._gate(chosen).server_stream(method, request, options)
        with _Forgets(self, chosen):
            async with aclosing(cast("Any", replies)):
                async for reply in replies:
                    yield reply

    async def bidi_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> AsyncIterator[Res]:
        """Choose, and open a stream both ways; raises as :meth:`unary`."""
        chosen, options = await self._choose(options, None)
        replies = self._gate(chosen).bidi_stream(method, requests, options)
        with _Forgets(self, chosen):
            async with aclosing(cast("Any", replies)):
                async for reply in replies:
                    yield reply

    async def _choose(
        self, options: CallOptions, default: float | None
    ) -> tuple[ActrId, CallOptions]:
        """Who is asked, and the options with the time that is left."""
        if isinstance(options.durable, str):
            raise LocalProtocolError(
                f"durable = {options.durable!r} to the type {self._type}: a call with a key is for "
                "one actor, also after a restart; discover() tells which there are"
            )
        if self._chosen is not None and not self._is_doubtful:
            return self._chosen, options
        loop = asyncio.get_running_loop()
        timeout = self._scope.within(options.timeout, default)
        begun = loop.time()
        try:
            async with asyncio.timeout(timeout) as limit, self._choosing:
                if self._is_doubtful and not await self._is_online():
                    self._chosen = None
                self._is_doubtful = False
                chosen = self._chosen or await self._best()
                self._chosen = chosen
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise DeadlineError(
                f"no actor of the type {self._type} found in {timeout:g} s"
            ) from exc
        if timeout is not None:
            options = replace(options, timeout=max(0.0, timeout - (loop.time() - begun)))
        return chosen, options

    async def _is_online(self) -> bool:
        """Whether the chosen one is, as far as anybody can say."""
        if self._chosen is None:
            return False
        try:
            return await self._lookup(self._chosen) is not None
        except UnreachableError:
            return True

    async def _best(self) -> ActrId:
        for presence in await self._discover(limit=ENOUGH):
            if presence.id != self._own:
                return presence.id
        raise UnreachableError(self._type.text, "no other actor of this type is online")

    def forget(self, chosen: ActrId) -> None:
        """Have the next call choose anew, if this is who was chosen."""
        if self._chosen == chosen:
            self._chosen = None

    def doubt(self, chosen: ActrId) -> None:
        """Have the next call see whether this one is online, if this is who was chosen."""
        self._is_doubtful = self._is_doubtful or self._chosen == chosen


class _Forgets:
    """A block in which an actor that is gone, or may be, is forgotten by its gate."""

    def __init__(self, gate: DiscoveredGate, chosen: ActrId) -> None:
        self._gate = gate
        self._chosen = chosen

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, (UnreachableError, BrokenError)):
            self._gate.forget(self._chosen)
        elif kind is not None and issubclass(kind, DeadlineError):
            self._gate.doubt(self._chosen)
