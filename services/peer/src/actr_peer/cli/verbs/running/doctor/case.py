"""What is known so far of the two sides between which a fault is looked for."""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from actr_peer.cli.callers import Visit
from actr_peer.cli.options import Flags
from actr_peer.cli.verbs.running.doctor.steps import Checkup
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.settings import Settings
from actr_peer.protocol.identity import ActrId, ActrType
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.signaling.presence import Presence

if TYPE_CHECKING:
    from actr_peer.node.node import Node
    from actr_peer.protocol.signaling.messages import Hello

START_SECONDS: Final = 8.0
"""Until the doctor's own actor is registered: the issuer, where there is one, is asked first."""


@dataclass(slots=True)
class Case:
    """One examination; what is None is not known (yet)."""

    flags: Flags
    whom: ActrId | ActrType | None
    """To whom a path is looked for; None: only this side and its services are looked at."""
    module: str | None
    """A generated module, with whose contract the actor's is compared."""
    checkup: Checkup
    stack: AsyncExitStack
    """Holds the doctor's actors until the end."""
    loaded: Settings | None = None
    loaded_own: NodeConfig | None = None
    hello: Hello | None = None
    """What the signaling service greets with."""
    hello_age: float = 0.0
    """Seconds by which this side's clock is ahead of what the greeting says."""
    node: Node | None = None
    """The doctor's actor, with the preferred kind of wire alone."""
    presence: Presence | None = None
    """Of the actor that is asked for."""

    @property
    def settings(self) -> Settings:
        assert self.loaded is not None
        return self.loaded

    @property
    def own(self) -> NodeConfig:
        """Of the doctor's actor."""
        assert self.loaded_own is not None
        return self.loaded_own

    @property
    def here(self) -> Node:
        assert self.node is not None
        return self.node

    @property
    def far(self) -> Presence:
        assert self.presence is not None
        return self.presence

    def another(self) -> NodeConfig:
        """Of one more actor of the doctor's, with an id of its own."""
        own = self.own
        return replace(own, id=replace(own.id, instance=secrets.token_hex(4)))

    async def start(self, config: NodeConfig, kind: WireKind) -> Node:
        """Start an actor that has this kind of wire alone; it runs until the examination ends.

        Raises:
            PeerError: If it cannot.
        """
        visit = Visit(START_SECONDS)
        alone = replace(config, prefer=(kind,), listen=None, relayed=False)
        return await self.stack.enter_async_context(visit.running(alone))
