"""``actr run module:workload``: a workload as an actor, until it is asked to stop."""

from __future__ import annotations

from typing import Annotated

import typer

from actr_peer.cli.options import Flags, with_flags
from actr_peer.cli.program import serve_workload
from actr_peer.cli.workloads import load_workload
from actr_peer.node.config import NodeConfig
from actr_peer.node.process.startup import configure_logs, run_loop

app = typer.Typer()


@app.command()
@with_flags
def run(
    workload: Annotated[str, typer.Argument(help="module:name of a service class or object.")],
    *,
    flags: Flags,
) -> None:
    """Run a workload as an actor; SIGTERM or Ctrl-C ends it gracefully."""
    settings = flags.settings()
    configure_logs(settings.log)
    services = load_workload(workload)
    run_loop(serve_workload(services, NodeConfig.from_settings(settings)))
