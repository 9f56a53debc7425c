"""``actr_peer.sandbox``: a real actor and a caller of it, for the tests of a workload."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from actr_peer.cli.verbs.dev.running.signaling import Signaling, check_installed
from actr_peer.node.config import NodeConfig
from actr_peer.node.system import System
from actr_peer.protocol.identity import ActrId
from actr_peer.service import Caller, Service

ACTOR: Final = ActrId("sandbox", "actor", "1")
CALLER: Final = ActrId("sandbox", "caller", "1")


@asynccontextmanager
async def sandbox(*services: Service) -> AsyncIterator[Caller]:
    """An actor of these services, and the caller by which a test calls it over real wires.

    They have a signaling service of their own on a free port, a process that ends with the block;
    nothing is kept, and neither ``actr.toml`` nor the environment is read::

        async with actr_peer.sandbox(Room()) as actor:
            await RoomClient(actor).say(Line(text="hello"))

    Raises:
        ConfigError: If ``services`` cannot be attached (:meth:`System.attach`), or the signaling
            service is not installed or cannot start.
        BrokenError: If that is not ready in time.
        BaseException: What the block raises, as it is.
    """
    check_installed()
    service = Signaling(0, {}, lambda _: None, lambda *_: None, lambda _: None)
    failed: BaseException | None = None
    async with service.started() as (_, url):
        own, other = (
            NodeConfig(id=who, signaling_url=url, listen="127.0.0.1:0") for who in (ACTOR, CALLER)
        )
        try:
            async with System(own).attach(*services), System(other).attach(Service()) as caller:
                yield caller.ref.to(ACTOR)
        except BaseException as exc:  # noqa: BLE001 - raised below, not in groups of blocks
            failed = exc
    if failed is not None:
        raise failed
