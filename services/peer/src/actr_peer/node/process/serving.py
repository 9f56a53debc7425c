"""What a process does between its actor's start and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from actr_peer.node.node import Node
from actr_peer.node.process.socket import ControlSocket
from actr_peer.node.process.startup import until_asked_to_stop
from actr_peer.node.process.status import health, status
from actr_peer.tasks import count_callbacks

log = structlog.get_logger()


async def serve(
    node: Node, control: Path | None, more: Callable[[], dict[str, Any]] = dict
) -> None:
    """Answer ``actr ps`` and ``actr health`` until the process is asked to stop, or replaced.

    Args:
        control: Where the control socket is made; None: nowhere.
        more: What the status document holds besides what every peer tells.
    """
    config = node.config
    count_callbacks(asyncio.get_running_loop())
    async with AsyncExitStack() as stack:
        if control is not None:
            reports = {
                "health": lambda: health(node),
                "status": lambda: {**status(node.view()), **more()},
            }
            await stack.enter_async_context(ControlSocket(control, reports))
        if config.realm_secret is None:
            log.warning(
                "DEVELOPMENT MODE: no realm secret, anybody may join the realm",
                realm=config.id.realm,
                fix="set ACTR_REALM__SECRET_FILE",
            )
        url = config.signaling_url
        ready = partial(log.info, "actor ready", actor=str(config.id), signaling=url)
        await until_asked_to_stop(node.ref, ready)
        log.info("actor stopping", actor=str(config.id))
