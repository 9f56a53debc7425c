"""What the gateway knows of those it calls: who serves what, and by which contract."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor_pool import DescriptorPool

from actr_peer.cli.contracts.asked import ask
from actr_peer.errors import CallError, Code, UnreachableError
from actr_peer.protocol.identity import ActrId, ActrType
from actr_peer.service import Caller, Method

if TYPE_CHECKING:
    from actr_peer.node.ref import ActrRef

MAX_KNOWN: Final = 256
"""Destinations whose contract is kept, and services whose type is; the oldest goes."""
FRESH_SECONDS: Final = 30.0
"""After which an actor is asked again: another version of it may run. Until then a call that no
longer fits is refused by the actor itself, which compares contracts."""
SOON_SECONDS: Final = 2.0
"""A method that is not there, or an error of it, is no reason to ask again so soon."""
MAX_ASKED: Final = 16
"""Actors that are asked at a time; a call that needs one more waits its turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """A method of somebody."""

    caller: Caller
    method: Method[Any, Any]
    pool: DescriptorPool | None
    """What its messages may hold in a ``google.protobuf.Any``; None: what is loaded."""


@dataclass(slots=True)
class _Known:
    caller: Caller
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: float = float("-inf")
    """When it told its contract, by the loop's clock."""
    methods: Mapping[str, Method[Any, Any]] = field(default_factory=dict)
    pool: DescriptorPool | None = None


class Contracts:
    """Asks actors for what they serve, and remembers it for a while.

    Args:
        modules: Methods of generated modules by route key, which nobody is asked for.
        services: Whom a request means that names only the service.
    """

    def __init__(
        self,
        ref: ActrRef,
        modules: Mapping[str, Method[Any, Any]],
        services: Mapping[str, ActrId | ActrType],
    ) -> None:
        self._ref = ref
        self._modules = modules
        self._services = services
        self._known: OrderedDict[ActrId | ActrType, _Known] = OrderedDict()
        self._types: OrderedDict[str, tuple[float, frozenset[str]]] = OrderedDict()
        self._asking = asyncio.Semaphore(MAX_ASKED)

    async def serving(self, service: str, allows: Callable[[ActrType], bool]) -> ActrId | ActrType:
        """Who is meant by a service alone: whom the rules name, else the one type of actors that
        are online and serve it.

        Args:
            allows: Whether the caller may ask a type for the method: it hears of no other.

        Raises:
            UnreachableError: If nobody serves it, or signaling does not answer.
            CallError: INVALID_ARGUMENT, if several types do.
        """
        if service in self._services:
            return self._services[service]
        now = asyncio.get_running_loop().time()
        at, types = self._types.get(service, (float("-inf"), frozenset()))
        if now - at > FRESH_SECONDS or not types:
            async with self._asking:
                found = await self._ref.discover(service=service)
            types = frozenset(each.id.actr_type for each in found if each.id != self._ref.id)
            _remember(self._types, service, (now, types))
        allowed = sorted(name for name in types if allows(ActrType(name)))
        if len(allowed) > 1:
            raise CallError(
                Code.INVALID_ARGUMENT,
                f"{service} is served by {' and '.join(allowed)}: name one with Actr-To",
            )
        if not allowed:
            raise UnreachableError(service, "nobody who is online and may be asked serves it")
        return ActrType(allowed[0])

    async def callee(self, to: ActrId | ActrType, route_key: str, timeout: float) -> Callee:
        """The method of ``to`` with this route key.

        Args:
            timeout: Seconds to ask for it.

        Raises:
            CallError: UNIMPLEMENTED, if it is not there, or ``to`` tells no contract.
            UnreachableError, DeadlineError, BrokenError, LimitError, RemoteProtocolError: If it
                cannot be asked.
        """
        known = self._known.get(to)
        if known is None:
            known = _Known(self._ref.to(to.text))
            _remember(self._known, to, known)
        self._known.move_to_end(to)
        if route_key in self._modules:
            return Callee(caller=known.caller, method=self._modules[route_key], pool=None)
        async with known.lock:
            age = asyncio.get_running_loop().time() - known.at
            if age > FRESH_SECONDS or (route_key not in known.methods and age > SOON_SECONDS):
                await self._ask(to, known, timeout)
        if route_key not in known.methods:
            raise CallError(Code.UNIMPLEMENTED, f"{to} has no method {route_key}")
        return Callee(caller=known.caller, method=known.methods[route_key], pool=known.pool)

    def forget(self, to: ActrId | ActrType) -> None:
        """It may have another contract by now; or its handler answers so, and a contract that was
        just told is kept."""
        known, now = self._known.get(to), asyncio.get_running_loop().time()
        if known is not None and now - known.at > SOON_SECONDS:
            known.at = float("-inf")

    async def _ask(self, to: ActrId | ActrType, known: _Known, timeout: float) -> None:
        caller = self._ref.to(to.text)  # of a type: who is the best one by now
        async with self._asking:
            contract = await ask(caller, to, timeout)
        known.caller = caller
        known.methods, known.pool = contract.methods, contract.pool
        known.at = asyncio.get_running_loop().time()


def _remember(kept: OrderedDict[Any, Any], key: object, value: object) -> None:
    kept[key] = value
    if len(kept) > MAX_KNOWN:
        kept.popitem(last=False)
