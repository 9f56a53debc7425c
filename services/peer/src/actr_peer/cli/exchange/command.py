"""The process behind ``actr exchange``: settings, node, rounds, and the control socket."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from actr_peer import System
from actr_peer.cli.control import ControlSocket
from actr_peer.cli.exchange.room import CountingRoom
from actr_peer.cli.exchange.rounds import Exchange
from actr_peer.cli.startup import (
    configure_logs,
    control_path,
    node_config,
    run_loop,
    until_asked_to_stop,
)
from actr_peer.cli.status import health, status
from actr_peer.lifecycle.config import NodeConfig
from actr_peer.settings import load


def exchange(
    *,
    interval: Annotated[
        float, typer.Option(help="Seconds from one round with a remote to the next.", min=0.1)
    ] = 2.0,
) -> None:
    """Talk to every actor of the own type that is online, in all five payload types, until SIGTERM.

    Standard output has a line for each remote and round; `actr ps` tells the counts.
    """
    settings = load().settings
    configure_logs(settings.log)
    run_loop(_serve(node_config(settings), control_path(settings), interval=interval))


async def _serve(config: NodeConfig, control: Path | None, *, interval: float) -> None:
    room = CountingRoom(config.mailbox_path)
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(System(config).attach(room))
        rounds = await stack.enter_async_context(Exchange(node.ref, room, interval=interval))
        if control is not None:
            reports = {
                "health": lambda: health(node),
                "status": lambda: {**status(node, rounds.present.values()), **rounds.report()},
            }
            await stack.enter_async_context(ControlSocket(control, reports))
        await until_asked_to_stop(node.ref)
