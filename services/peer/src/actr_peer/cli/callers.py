"""The actor behind a verb that calls another: what it keeps, and what it does there."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actr_peer import ActrId
from actr_peer.errors import ConfigError, DeadlineError, UnreachableError
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.development import actor_of_dev
from actr_peer.protocol.identity import ActrType, parse_destination
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.rpc.destinations.lateness import NO_WIRE
from actr_peer.service import Service
from actr_peer.state.folder import STATE_FOLDER, make_state_folder
from actr_peer.tasks import Tasks

if TYPE_CHECKING:
    from actr_peer.node.node import Node
    from actr_peer.node.sinks import WireEvent

KEPT: Final = Path(STATE_FOLDER, "calls")
"""Where durable calls of the command line are kept, a file for each key."""


def read_destination(text: str) -> ActrId | ActrType:
    """Whom a verb asks: an actor by id or URI, or the best one of a type.

    Raises:
        ConfigError: If it is neither.
    """
    whom = parse_destination(text) if text.count(":") == 1 and "@" not in text else None
    return whom if isinstance(whom, ActrType) else ActrId.read(text)


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
        make_state_folder(path)
    except OSError as exc:
        raise ConfigError(f"--durable keeps its call in {path.parent}: {exc.strerror}") from exc
    own = ActrId("actr", config.id.name, instance, config.id.realm)
    return replace(
        config,
        id=config.id if keeps_id else own,
        mailbox_path=config.mailbox_path or path,
    )


LOOK_SECONDS: Final = 0.1
"""Between two looks at what becomes of the actor that is asked."""
LOOKUP_SECONDS: Final = 2.0
"""For the question why there was no wire, when the time is over already."""


class Visit(Service):
    """What a verb does at others, with its times; attached as the workload that nobody calls.

    Args:
        timeout: Seconds for all of it, the start included; None: no limit.
    """

    def __init__(self, timeout: float | None) -> None:
        # Half a second of imports, which help and completion do without, and no time of the call.
        from actr_peer.node.system import System

        self._system = System
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
            UnreachableError: If it does not start in time, for signaling is away.
            DeadlineError: If it does not start in time, and nothing more is known.
        """
        actor = self._system(config).attach(self)
        try:
            async with asyncio.timeout(self.left()) as limit, actor as node:
                limit.reschedule(None)
                self.started = self.seconds
                yield node
        except TimeoutError as exc:
            if not limit.expired():
                raise
            where = f"signaling at {config.signaling_url}"
            why = actor.assembly.signaling.trouble
            if why:
                raise UnreachableError(where, why.removeprefix(f"{where} is away: ")) from exc
            raise DeadlineError(f"not registered at {where} in {self._timeout:g} s") from exc

    async def find(self, node: Node, whom: ActrId | ActrType) -> ActrId:
        """The actor that is meant: of a type, the best one that is online and not this very actor.

        Raises:
            UnreachableError: If none of the type is.
        """
        if isinstance(whom, ActrId):
            await self._started_by_dev(whom, node.config)
            return whom
        found = await node.ref.discover(whom.text, limit=2)
        others = [presence.id for presence in found if presence.id != node.id]
        if not others:
            raise UnreachableError(whom.text, "no actor of this type is online")
        return others[0]

    async def _started_by_dev(self, target: ActrId, config: NodeConfig) -> None:
        """Wait while the ``actr dev`` of this folder starts the actor, for the first time or anew.

        Raises:
            UnreachableError: If it cannot be started with the code that it has, or not in time.
        """
        until = time.monotonic() + (self.left(config.call_timeout) or config.call_timeout)
        while True:
            found = await asyncio.to_thread(actor_of_dev, str(target), config.signaling_url)
            state, why = found or ("online", "")
            if state == "online":
                return
            if state == "waiting for a change" or time.monotonic() >= until:
                said = f": {why}" if why else ""
                raise UnreachableError(str(target), f"actr dev says that it is {state}{said}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, node: Node, target: ActrId, limit: asyncio.Timeout) -> None:
        """End what waits for an actor that is not online, when each kind of wire was tried once."""
        while self.connected is None:
            await asyncio.sleep(LOOK_SECONDS)
            link = node.view().link(target)
            if link is None or link.active or not all(kind.tries for kind in link.wires):
                continue
            with suppress(UnreachableError):
                if await node.assembly.signaling.lookup(target, timeout=LOOKUP_SECONDS) is None:
                    limit.reschedule(asyncio.get_running_loop().time())
                    return

    @asynccontextmanager
    async def reaching(
        self, node: Node, target: ActrId, kept: Callable[[], str] = str
    ) -> AsyncIterator[None]:
        """What is asked of ``target``: time that ends before anything is known of why there was no
        wire to it is no reason not to ask.

        Args:
            kept: Said besides, of what goes on although its time is over.

        Raises:
            UnreachableError: With what signaling says, then.
        """
        looking = Tasks("visit")
        await looking.__aenter__()
        limit = asyncio.timeout(None)
        looking.start("look", self._look(node, target, limit))
        try:
            async with limit:
                yield
        except (DeadlineError, UnreachableError, TimeoutError) as exc:
            is_over = isinstance(exc, TimeoutError) and limit.expired()
            if not is_over and (self.connected is not None or self._says_why(exc)):
                raise
            why = await self._why_not(node, target)
            raise UnreachableError(why.remote, f"{why.why}{kept()}") from exc
        finally:
            await looking.__aexit__(None, None, None)

    @staticmethod
    def _says_why(exc: Exception) -> bool:
        return isinstance(exc, UnreachableError) and exc.why != NO_WIRE

    async def _why_not(self, node: Node, target: ActrId) -> UnreachableError:
        try:
            presence = await node.assembly.signaling.lookup(target, timeout=LOOKUP_SECONDS)
        except UnreachableError as exc:
            return exc
        if presence is None:
            return UnreachableError(str(target), "no such actor is online")
        return UnreachableError(str(target), f"no wire to it came up in {self.seconds:.1f} s")
