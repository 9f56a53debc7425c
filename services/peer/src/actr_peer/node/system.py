"""``System(config) → attach(workload) → Node → start() → ActrRef``; ``connect()``, for callers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from actr_peer.errors import ConfigError
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.callers import caller_config
from actr_peer.node.config.loading import load
from actr_peer.node.contract.handlers import check_handlers, check_hooks
from actr_peer.node.contract.interceptors import Interceptor, interceptors_of
from actr_peer.node.hooks import Hooks
from actr_peer.node.node import Node
from actr_peer.node.ref import ActrRef
from actr_peer.protocol.identity import ActrId
from actr_peer.service import Service


class System:
    """A configuration that waits for a workload."""

    def __init__(self, config: NodeConfig) -> None:
        self.config = config

    def attach(self, *services: Service, interceptors: Iterable[Interceptor] = ()) -> Node:
        """Make the actor of these services; one object may implement several of them.

        Args:
            interceptors: Of its calls and of its handlers, the first outermost; before those that
                the classes of the services name (docs/interceptors.md).

        Raises:
            ConfigError: If there is none, one is no object of a service, or lacks a handler that
                its contract has, or has one of another kind, or two have the same method.
        """
        if not services:
            raise ConfigError("attach at least one service, the actor's workload")
        for service in services:
            check_handlers(service)
            check_hooks(service, Hooks)
        return Node(self.config, services, interceptors_of(services, interceptors))


@asynccontextmanager
async def connect(
    signaling_url: str | None = None,
    *,
    id: ActrId | str | None = None,
    interceptors: Iterable[Interceptor] = (),
) -> AsyncIterator[ActrRef]:
    """An actor for a program that only calls: no service, no listener, nothing kept.

    The rest is as :meth:`NodeConfig.load` reads it. Leaving the block ends it gracefully::

        async with connect() as ref:
            await RoomClient(ref.to("acme:room@1:default")).say(Line(text="hello"))

    Args:
        signaling_url: Where it registers; None: as configured, else this machine.
        id: Who it is; None: ``actr:caller`` with a new instance, in the configured realm.
        interceptors: Of its calls, the first outermost.

    Raises:
        BusyError: If the identity is taken meanwhile.
        ConfigError: If the configuration cannot be used, or signaling refuses it.
        UnreachableError: If signaling cannot be reached.
    """
    given = {"actor.id": id, "signaling.url": signaling_url}
    flags = {key: str(value) for key, value in given.items() if value is not None}
    config = caller_config(load(flags=flags).settings, "caller", named=flags)
    async with System(config).attach(Service(), interceptors=interceptors) as node:
        yield node.ref
