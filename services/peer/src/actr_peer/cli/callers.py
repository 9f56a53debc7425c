"""The actor behind a verb that calls another: what it keeps, and what it does there."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from actr_peer import ActrId
from actr_peer.cli.options import Flags
from actr_peer.errors import ConfigError, DeadlineError, UnreachableError
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.reading import own_id
from actr_peer.node.node import Node
from actr_peer.node.sinks import WireEvent
from actr_peer.node.system import System
from actr_peer.protocol.identity import ActrType, parse_destination
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.service import Service

KEPT: Final = Path(".actr", "calls")
"""Where durable calls of the command line are kept, a file for each key."""


def read_destination(text: str) -> ActrId | ActrType:
    """Whom a verb asks: an actor by id or URI, or the best one of a type.

    Raises:
        ConfigError: If it is neither.
    """
    whom = parse_destination(text) if text.count(":") == 1 and "@" not in text else None
    return whom if isinstance(whom, ActrType) else ActrId.read(text)


def realm_of(whom: ActrId | ActrType, flags: Flags) -> str:
    """In which a verb asks: that of the actor, or for a type that of the configuration."""
    return whom.realm if isinstance(whom, ActrId) else own_id(flags.settings().actor.id).realm


def durable_config(config: NodeConfig, key: str, *, keeps_id: bool = False) -> NodeConfig:
    """The same with what a durable call needs to be known again: an identity and a file that
    follow from its key, where none was given.

    Raises:
        ConfigError: If the folder cannot be made.
    """
    if config.mailbox_path is not None and keeps_id:
        return config
    instance = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    path = KEPT / f"{instance}.db"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"--durable keeps its call in {path.parent}: {exc.strerror}") from exc
    own = ActrId("actr", config.id.name, instance, config.id.realm)
    return replace(
        config,
        id=config.id if keeps_id else own,
        mailbox_path=config.mailbox_path or path,
    )


LOOKUP_SECONDS: Final = 2.0
"""For the question why there was no wire, when the time is over already."""


class Visit(Service):
    """What a verb does at others, with its times; attached as the workload that nobody calls.

    Args:
        timeout: Seconds for all of it, the start included; None: no limit.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._began = time.monotonic()
        self.started = 0.0
        """Seconds until it was registered at signaling."""
        self.connected: float | None = None
        """Seconds until the first wire was ready."""

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def left(self, most: float | None = None) -> float | None:
        """Seconds that are left, of ``most`` at the most; None: no limit."""
        if self._timeout is None:
            return most
        rest = max(0.001, round(self._timeout - self.seconds, 3))
        return rest if most is None else min(rest, most)

    async def on_wire(self, event: WireEvent) -> None:
        if event.state is WireState.READY and self.connected is None:
            self.connected = self.seconds

    @asynccontextmanager
    async def running(self, config: NodeConfig) -> AsyncIterator[Node]:
        """The actor, from its start to its end.

        Raises:
            DeadlineError: If it does not start in time.
        """
        try:
            async with asyncio.timeout(self.left()) as limit, System(config).attach(self) as node:
                limit.reschedule(None)
                self.started = self.seconds
                yield node
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise DeadlineError(
                f"not registered at {config.signaling_url} in {self._timeout:g} s"
            ) from exc

    async def find(self, node: Node, whom: ActrId | ActrType) -> ActrId:
        """The actor that is meant: of a type, the best one that is online.

        Raises:
            UnreachableError: If none of the type is.
        """
        if isinstance(whom, ActrId):
            return whom
        found = await node.ref.discover(whom.text, limit=1)
        if not found:
            raise UnreachableError(whom.text, "no actor of this type is online")
        return found[0].id

    @asynccontextmanager
    async def reaching(self, node: Node, target: ActrId) -> AsyncIterator[None]:
        """What is asked of ``target``: a deadline that ends before there was a wire to it says why
        there was none.

        Raises:
            UnreachableError: In place of a DeadlineError, then.
        """
        try:
            yield
        except DeadlineError as exc:
            if self.connected is not None:
                raise
            raise await self._why_not(node, target) from exc

    async def _why_not(self, node: Node, target: ActrId) -> UnreachableError:
        try:
            presence = await node.assembly.signaling.lookup(target, timeout=LOOKUP_SECONDS)
        except UnreachableError as exc:
            return exc
        if presence is None:
            return UnreachableError(str(target), "no such actor is online")
        return UnreachableError(str(target), f"no wire to it came up in {self.seconds:.1f} s")
