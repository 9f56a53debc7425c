"""What a process has between its actor's start and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import structlog

from actr_peer.node.node import Node
from actr_peer.node.process.announcing import announced
from actr_peer.node.process.socket import ControlSocket
from actr_peer.node.process.startup import until_asked_to_stop
from actr_peer.node.process.status import health, status
from actr_peer.tasks import count_callbacks

log = structlog.get_logger()


def say_ready(node: Node) -> None:
    """Tell who watches the log that the actor is there."""
    log.info("actor ready", actor=str(node.id), signaling=node.config.signaling_url)


async def serve(
    node: Node,
    more: Callable[[], dict[str, Any]] = dict,
    ready: Callable[[Node], None] = say_ready,
) -> None:
    """Answer ``actr ps`` and ``actr health`` until the process is asked to stop, or replaced.

    Args:
        more: What the status document holds besides what every peer tells.
        ready: Tells that the actor is there.

    Raises:
        BusyError: If another process has the control socket or the metrics' address, or a newer
            one the identity.
        ConfigError: If one of the two cannot be made.
    """
    async with answering(node, more):
        await until_asked_to_stop(node.ref, partial(ready, node))
        log.info("actor stopping", actor=str(node.id))


@asynccontextmanager
async def answering(node: Node, more: Callable[[], dict[str, Any]] = dict) -> AsyncIterator[None]:
    """A block in which the process answers on its control socket, where it has one."""
    config = node.config
    count_callbacks(asyncio.get_running_loop())
    async with AsyncExitStack() as stack:
        if config.control_socket is not None:
            reports = {
                "health": lambda: health(node),
                "status": lambda: {**status(node.view()), **more()},
            }
            await stack.enter_async_context(ControlSocket(config.control_socket, reports))
            stack.enter_context(announced(config.control_socket))
        if config.metrics:
            # A quarter of a second of imports, of which only such a process has a use.
            from actr_peer.node.process.metrics.page import MetricsPage

            await stack.enter_async_context(MetricsPage(config.metrics, node.view))
        if config.trust == "development":
            log.warning(
                "DEVELOPMENT MODE: no issuer and no realm secret, anybody may be any actor",
                realm=config.id.realm,
                fix="set ACTR_IDENTITY__ISSUER_URL, or ACTR_REALM__SECRET_FILE",
            )
        yield
