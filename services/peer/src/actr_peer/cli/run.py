"""``actr run module:workload``: a workload as an actor, until it is asked to stop."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import structlog
import typer

from actr_peer import System, settings
from actr_peer.cli.control import ControlSocket
from actr_peer.cli.startup import (
    configure_logs,
    control_path,
    node_config,
    run_loop,
    until_asked_to_stop,
)
from actr_peer.cli.status import health, status
from actr_peer.cli.workloads import load_workload
from actr_peer.lifecycle.config import NodeConfig
from actr_peer.service import Service

log = structlog.get_logger()

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
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(System(config).attach(*services))
        if control is not None:
            reports = {"health": lambda: health(node), "status": lambda: status(node)}
            await stack.enter_async_context(ControlSocket(control, reports))
        if config.realm_secret is None:
            log.warning("development mode: anybody may join the realm", realm=config.id.realm)
        log.info("actor ready", actor=str(config.id), signaling=config.signaling_url)
        await until_asked_to_stop(node.ref)
        log.info("actor stopping", actor=str(config.id))
