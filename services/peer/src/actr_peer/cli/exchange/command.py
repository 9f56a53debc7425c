"""The process behind ``actr exchange``: settings, node, rounds, and the control socket."""

from __future__ import annotations

from typing import Annotated

import typer

from actr_peer.cli.options import AsLines, Flags, with_flags
from actr_peer.node.config import NodeConfig
from actr_peer.node.process.logs import configure_logs
from actr_peer.node.process.startup import run_loop


@with_flags
def exchange(
    *,
    interval: Annotated[
        float, typer.Option(help="Seconds from one round with a remote to the next.", min=0.1)
    ] = 2.0,
    is_json: AsLines = False,
    flags: Flags,
) -> None:
    """Talk to every actor of the own type that is online, in all five payload types, until SIGTERM.

    Standard output has a line for each remote and round; `actr ps` tells the counts.
    """
    settings = flags.settings()
    configure_logs(settings.log)
    run_loop(_serve(NodeConfig.from_settings(settings), interval=interval, is_json=is_json))


async def _serve(config: NodeConfig, *, interval: float, is_json: bool) -> None:
    # The WebRTC stack, which help and completion do without.
    from actr_peer.cli.exchange.room import CountingRoom
    from actr_peer.cli.exchange.rounds import Exchange
    from actr_peer.node.process.serving import serve
    from actr_peer.node.system import System

    room = CountingRoom(config.mailbox_path)
    async with (
        System(config).attach(room) as node,
        Exchange(node.ref, room, interval=interval, is_json=is_json) as rounds,
    ):
        await serve(node, rounds.report)
