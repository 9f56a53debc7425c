"""``python -m actr_peer.cli.verbs.dev.running.actor DESCRIPTOR module:workload INSPECTION``: a
workload under ``actr dev``, which hears by the descriptor what becomes of it. INSPECTION says
whether others may look into it, where nothing is configured.

Each report is one JSON document and a line end; an empty line says that nothing is new::

    {"refused": "room.py:3: SyntaxError: …"}     it cannot start with this code
    {"ready": true, "files": ["room.py"], "waiting": 0, "dead": 0, "wires": [{"remote": …}]}
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from actr_peer.cli.exits import Exit, ending
from actr_peer.cli.workloads import load_workload
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.loading import load, with_keys
from actr_peer.node.node import Node
from actr_peer.node.process.logs import configure_logs
from actr_peer.node.process.serving import serve
from actr_peer.node.process.startup import interruptible, run_loop
from actr_peer.node.process.status import status
from actr_peer.node.system import System
from actr_peer.service import Service
from actr_peer.tasks import Tasks

INSPECTION: Final = "actor.inspection"
INTERVAL: Final = 1.0
"""Seconds between reports."""


def main() -> None:
    """Be the actor; what hinders it is told as one sentence, and ends it."""
    descriptor, spec, inspection = int(sys.argv[1]), *sys.argv[2:4]
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - os has no keyword for it
    try:
        with ending(lambda _, text: tell(descriptor, {"refused": text})):
            loaded = load()
            settings = loaded.settings
            if loaded.origin(INSPECTION) == "default":
                settings = with_keys(settings, {INSPECTION: inspection})
            configure_logs(loaded.settings.log)
            if loaded.origin("log.level") == "default":  # what it does all day is in the table
                logging.getLogger("actr_peer").setLevel(logging.WARNING)
            # A quick second save may have the time and size of the first.
            sys.dont_write_bytecode = True
            services = load_workload(spec)
            run_loop(_serve(services, NodeConfig.from_settings(settings), descriptor))
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)


def tell(descriptor: int, report: Mapping[str, object] | None) -> None:
    """Write one report, or an empty line; when nobody reads any more, ask this process to end."""
    text = "" if report is None else json.dumps(report)
    data = memoryview(text.encode() + b"\n")
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        os.kill(os.getpid(), signal.SIGTERM)


async def _serve(services: tuple[Service, ...], config: NodeConfig, descriptor: int) -> None:
    with interruptible():
        async with System(config).attach(*services) as node, Tasks("dev") as tasks:
            tasks.start("reports", _report(node, descriptor))
            await serve(node)


async def _report(node: Node, descriptor: int) -> None:
    told: dict[str, object] = {}
    while True:
        report = _state(node)
        # An empty line where nothing is new: it finds out that nobody reads any more.
        tell(descriptor, report if report != told else None)
        told = report
        await asyncio.sleep(INTERVAL)


def _state(node: Node) -> dict[str, Any]:
    whole = status(node.view())
    return {
        "ready": True,
        "files": own_files(),
        "waiting": whole["mailbox"]["depth"],
        "dead": whole["mailbox"]["dead"],
        "trouble": whole["mailbox"]["trouble"],
        "wires": whole["wires"],
    }


def own_files() -> list[str]:
    """Modules of this folder that are loaded, from here."""
    here = str(Path.cwd()) + os.sep
    found = set()
    for module in tuple(sys.modules.values()):
        with suppress(AttributeError, TypeError):  # modules may be anything
            file = module.__file__
            if file is not None and file.startswith(here):
                found.add(file.removeprefix(here))
    return sorted(found)


if __name__ == "__main__":
    main()
