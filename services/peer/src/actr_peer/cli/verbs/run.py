"""``actr run module:workload``: a workload as an actor, until it is asked to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actr_peer import System
from actr_peer.cli.workloads import load_workload
from actr_peer.node.config import NodeConfig
from actr_peer.node.process import settings
from actr_peer.node.process.serving import serve
from actr_peer.node.process.startup import (
    configure_logs,
    control_path,
    node_config,
    run_loop,
)
from actr_peer.service import Service

app = typer.Typer()


@app.command()
def run(
    workload: Annotated[str, typer.Argument(help="module:name of a service class or object.")],
    *,
    config: Annotated[
        Path | None, typer.Option(help="Read this file, not ./actr.toml or what ACTR_CONFIG names.")
    ] = None,
) -> None:
    """Run a workload as an actor; SIGTERM or Ctrl-C ends it gracefully."""
    loaded = settings.load(config).settings
    configure_logs(loaded.log)
    services = load_workload(workload)
    run_loop(_serve(services, node_config(loaded), control_path(loaded)))


async def _serve(services: tuple[Service, ...], config: NodeConfig, control: Path | None) -> None:
    async with System(config).attach(*services) as node:
        await serve(node, control)
