"""The gate to an actor type: to the best actor of it that is online, and to another if that is
lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, cast

from actr_peer.errors import ConfigError, LocalProtocolError, UnreachableError
from actr_peer.protocol.identity import ActrId, ActrType, parse_destination
from actr_peer.protocol.rpc.bounds import is_utf8
from actr_peer.protocol.rpc.choice import rank
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.rpc.destinations.chosen.attempts import Attempt, Trying
from actr_peer.rpc.destinations.chosen.chooser import Asker, Call
from actr_peer.rpc.destinations.scope import Scope
from actr_peer.service import Caller, CallOptions, Method, Req, Res

ENOUGH: Final = 8
"""Actors to ask signaling for, beside those that are left out."""
FRESH: Final = 2.0
"""Seconds after which a choice by a key is looked at again: another actor may be its first now."""
LOOKED_AT_WITHIN: Final = 1.0
"""Seconds for that; who was chosen is kept where signaling does not answer."""
MAX_KEY_CHARS: Final = 256
RUNTIME: Final = "actr."
"""What begins the names of services that every actor has, and none registers."""


@dataclass(slots=True)
class _Choice:
    """Who was chosen for the methods of one service."""

    id: ActrId
    at: float
    """By the loop's clock."""
    is_slow: bool = False
    """The time of a call to it was over: it may be gone."""


class DiscoveredGate:
    """A :class:`~actr_peer.service.Caller` for an actor type, that chooses when it is first used.

    It stays with the actor that it has chosen, so that what one call leaves there the next one
    finds, until that one is lost. A call that was not sent, or that its callee refused for its
    contract, is made at another actor within its time; one that may have run only if its method is
    idempotent, and a stream only before its first item. The own actor is never chosen.

    Args:
        actor: Whose gate it is.
        key: The same key goes to the same actor while that is online, whoever calls; empty: the
            one that is least busy.
        waits: Whether a call waits for a link that is being mended, if nobody else is left.

    Raises:
        ConfigError: If the key is no text that can be sent.
    """

    def __init__(
        self,
        actr_type: ActrType,
        actor: Asker,
        *,
        scope: Scope,
        key: str = "",
        waits: bool = True,
    ) -> None:
        if not isinstance(key, str) or not is_utf8(key) or len(key) > MAX_KEY_CHARS:
            raise ConfigError(f"key = {key!r}: must be text of at most {MAX_KEY_CHARS} characters")
        self.name = actr_type.text
        self.waits = waits
        self.link = actor.transport.link
        self._actor = actor
        self._scope = scope
        self._key = key
        self._chosen: dict[str, _Choice] = {}
        """By service."""
        self._choosing = asyncio.Lock()

    async def unary(self, method: Method[Req, Res], request: Req, options: CallOptions) -> Res:
        """Choose, call, and wait for the reply.

        Raises:
            UnreachableError: If no other actor of the type is online, or none can be reached.
            DeadlineError: If the time is over before one is chosen. Else as the actor's own gate.
            MayHaveRunError: If the actor was lost after it may have run the call.
            LocalProtocolError: If the call has a key of its own: asked again by the key, after a
                restart, it would run at another actor.
        """
        trying = self._begin(method, options, self._actor.call_timeout)
        while True:
            with await trying.next() as one:
                return await one.answer(one.gate.unary(method, request, one.options))

    async def tell(self, method: Method[Req, Any], request: Req, options: CallOptions) -> None:
        """Choose, and send a request that has no reply; raises as :meth:`unary`."""
        trying = self._begin(method, options, self._actor.call_timeout)
        while True:
            with await trying.next() as one:
                return await one.gate.tell(method, request, one.options)

    async def client_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> Res:
        """Choose, send a stream of requests, and wait for the one reply; raises as :meth:`unary`"""
        trying = self._begin(method, options, None)
        while True:
            with await trying.next() as one:
                sent = _begins(one, requests)
                return await one.answer(one.gate.client_stream(method, sent, one.options))

    async def server_stream(
        self, method: Method[Req, Res], request: Req, options: CallOptions
    ) -> AsyncIterator[Res]:
        """Choose, and open a stream of replies; raises as :meth:`unary`."""
        trying = self._begin(method, options, None)
        while True:
            with await trying.next() as one:
                replies = one.gate.server_stream(method, request, one.options)
                async with aclosing(_replies(one, replies)) as items:
                    async for item in items:
                        yield item
                return

    async def bidi_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> AsyncIterator[Res]:
        """Choose, and open a stream both ways; raises as :meth:`unary`."""
        trying = self._begin(method, options, None)
        while True:
            with await trying.next() as one:
                sent = _begins(one, requests)
                replies = one.gate.bidi_stream(method, sent, one.options)
                async with aclosing(_replies(one, replies)) as items:
                    async for item in items:
                        yield item
                return

    def _begin(
        self, method: Method[Any, Any], options: CallOptions, default: float | None
    ) -> Trying:
        if isinstance(options.durable, str):
            raise LocalProtocolError(
                f"durable = {options.durable!r} to the type {self.name}: a call with a key is for "
                "one actor, also after a restart; discover() tells which there are"
            )
        timeout = self._scope.within(options.timeout, default)
        return Trying(self, self._actor.id, method, options, timeout)

    # What its calls ask

    def gate(self, remote: ActrId) -> Caller:
        """A caller of its own for each try."""
        return self._actor.caller_to(remote, self._scope, wait_for_ready=self.waits)

    def chosen(self, call: Call) -> ActrId | None:
        """Who is asked, as far as that is known without asking anybody."""
        choice = self._held(call)
        if choice is None:
            return None
        if self._key and asyncio.get_running_loop().time() - choice.at > FRESH:
            return None
        return choice.id

    def _held(self, call: Call) -> _Choice | None:
        """Who was chosen, where nothing speaks against it, however long ago that was."""
        choice = self._chosen.get(call.service)
        if choice is None or choice.is_slow or choice.id in call.left_out:
            return None
        return None if self._actor.doubts.is_newer(choice.id, choice.at) else choice

    async def choose(self, call: Call) -> ActrId | None:
        """Who is asked next; None: nobody is left."""
        async with self._choosing:  # calls at one time choose once
            choice = self._chosen.get(call.service)
            if choice is not None and choice.is_slow:
                if await self._is_online(choice.id):
                    choice.is_slow = False
                else:
                    del self._chosen[call.service]
            chosen = self.chosen(call)
            if chosen is not None:
                return chosen
            loop, held = asyncio.get_running_loop(), self._held(call)
            if held is not None:
                held.at = loop.time()  # one call looks, and none waits for it
            try:
                async with asyncio.timeout(None if held is None else LOOKED_AT_WITHIN) as limit:
                    found = await self._found(call)
            except (UnreachableError, TimeoutError) as exc:
                if held is None or (isinstance(exc, TimeoutError) and not limit.expired()):
                    raise
                return held.id  # links outlive signaling
            if not found:
                return None
            now = loop.time()
            self._chosen[call.service] = _Choice(found[0].id, now)
            return found[0].id

    async def _found(self, call: Call) -> list[Presence]:
        """Who may be asked, best first: those that have the service, if any has."""
        known = "" if call.service.startswith(RUNTIME) else call.service
        now = asyncio.get_running_loop().time()
        for service in dict.fromkeys((known, "")):
            found = await self._actor.signaling.discover(
                self.name,
                service=service,
                fingerprint=call.fingerprint if service else "",
                stickiness=self._key,
                limit=ENOUGH + len(call.left_out),
            )
            able = [presence for presence in found if presence.id not in call.left_out]
            if able:
                return rank(
                    able,
                    service=service,
                    fingerprint=call.fingerprint,
                    is_doubtful=lambda each: self._actor.doubts.holds(each, now),
                )
        return []

    async def _is_online(self, remote: ActrId) -> bool:
        """Whether it is, as far as anybody can say."""
        try:
            return await self._actor.signaling.lookup(remote) is not None
        except UnreachableError:
            return True

    # What they tell

    def lost(self, call: Call, remote: ActrId) -> None:
        """It could not be reached, or is gone: the next call chooses anew, others first."""
        self._actor.doubts.note(remote, asyncio.get_running_loop().time())
        self.unfit(call, remote)

    def unfit(self, call: Call, remote: ActrId) -> None:
        """Its contract is another one: the next call chooses anew."""
        choice = self._chosen.get(call.service)
        if choice is not None and choice.id == remote:
            del self._chosen[call.service]

    def slow(self, call: Call, remote: ActrId) -> None:
        """It did not answer in time: the next call sees whether it is online."""
        choice = self._chosen.get(call.service)
        if choice is not None and choice.id == remote:
            choice.is_slow = True


def any_of(
    actr_type: str, actor: Asker, scope: Scope, *, key: str | None = None, waits: bool = True
) -> DiscoveredGate:
    """The gate to the type that a text names; the rest as of the gate.

    Raises:
        ConfigError: If it names none.
    """
    target = parse_destination(actr_type)
    if not isinstance(target, ActrType):
        raise ConfigError(f"{actr_type!r} is no actor type, as 'acme:room': to() takes it")
    return DiscoveredGate(target, actor, scope=scope, key=key or "", waits=waits)


def _begins(one: Attempt, requests: AsyncIterable[Req]) -> AsyncIterable[Req]:
    """What cannot be iterated over is refused by the gate, in its own words."""
    return one.begins(requests) if hasattr(type(requests), "__aiter__") else requests


async def _replies(one: Attempt, replies: AsyncIterator[Res]) -> AsyncGenerator[Res, None]:
    """The replies; the first is the stream's beginning, and waited for while the actor is there."""
    async with aclosing(cast("Any", replies)):
        try:
            first = await one.answer(anext(replies))
        except StopAsyncIteration:
            return
        one.has_begun = True
        yield first
        async for reply in replies:
            yield reply
