"""``actr run module:workload``: a workload as an actor, until it is asked to stop."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

from actr_peer.cli.options import AsLines, Flags, with_flags
from actr_peer.cli.workloads import load_workload
from actr_peer.node.config import NodeConfig
from actr_peer.node.process.logs import configure_logs
from actr_peer.node.process.startup import run_loop

if TYPE_CHECKING:
    from actr_peer.node.node import Node

app = typer.Typer()


@app.command()
@with_flags
def run(
    workload: Annotated[str, typer.Argument(help="module:name of a service class or object.")],
    *,
    is_json: AsLines = False,
    flags: Flags,
) -> None:
    """Run a workload as an actor; SIGTERM or Ctrl-C ends it gracefully."""
    # The WebRTC stack, which help and completion do without.
    from actr_peer.cli.program import serve_workload
    from actr_peer.node.process.serving import say_ready

    settings = flags.settings()
    configure_logs(settings.log)
    services = load_workload(workload)
    ready = _tell_ready if is_json else say_ready
    run_loop(serve_workload(services, NodeConfig.from_settings(settings), ready))


def _tell_ready(node: Node) -> None:
    """Say on standard output who is ready, and where: a program that started it waits for that."""
    from actr_peer.node.process.serving import say_ready

    say_ready(node)
    config = node.config
    document = {
        "ready": str(node.id),
        "pid": os.getpid(),
        "signaling": config.signaling_url,
        "address": node.assembly.network.websocket.address,
        "mailbox": str(config.mailbox_path or ""),
        "control": str(config.control_socket or ""),
    }
    print(json.dumps(document), flush=True)
