"""The process behind ``actr exchange``: settings, node, rounds, and the control socket."""

from __future__ import annotations

from typing import Annotated

import typer

from actr_peer import System
from actr_peer.cli.exchange.room import CountingRoom
from actr_peer.cli.exchange.rounds import Exchange
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.loading import load
from actr_peer.node.process.serving import serve
from actr_peer.node.process.startup import configure_logs, run_loop


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
    run_loop(_serve(NodeConfig.from_settings(settings), interval=interval))


async def _serve(config: NodeConfig, *, interval: float) -> None:
    room = CountingRoom(config.mailbox_path)
    async with (
        System(config).attach(room) as node,
        Exchange(node.ref, room, interval=interval) as rounds,
    ):
        await serve(node, rounds.report)
