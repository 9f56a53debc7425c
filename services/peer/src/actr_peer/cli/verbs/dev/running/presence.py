"""Who else is online while ``actr dev`` runs: an actor of its own that nobody sees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Final

from actr_peer.errors import PeerError
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.callers import caller_settings
from actr_peer.node.config.settings import Settings
from actr_peer.protocol.signaling.presence import Change, PresenceEvent
from actr_peer.protocol.wire.backoff import doubled
from actr_peer.service import Service

MOST_REST: Final = 30.0

Heard = Callable[[str, Change], None]
"""An actor's id, and what became of it."""


class Watcher(Service):
    """Hears of all actors of the realm."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard

    async def on_presence(self, event: PresenceEvent) -> None:
        self._heard(str(event.presence.id), event.kind)


async def watch(settings: Settings, realm: str, heard: Heard) -> None:
    """Tell who comes and goes, until this is cancelled; a signaling service that is lost is waited
    for.

    Args:
        settings: What an actor of this folder is configured with.
    """
    # Half a second, which need not pass before the workloads start, nor hold up Ctrl-C.
    await asyncio.to_thread(import_module, "actr_peer.node.system")
    from actr_peer.node.system import System

    own = caller_settings(settings, "dev", realm=realm)
    actor = own.actor.model_copy(update={"visibility": "hidden"})
    config = NodeConfig.from_settings(own.model_copy(update={"actor": actor}))
    failures = 0
    while True:
        try:
            async with System(config).attach(Watcher(heard)) as node:
                failures = 0
                for presence in await node.ref.subscribe():
                    heard(str(presence.id), Change.JOIN)
                await node.ref
        except PeerError:  # its reason is shown already: signaling has ended
            failures += 1
        await asyncio.sleep(doubled(1.0, failures, MOST_REST))
