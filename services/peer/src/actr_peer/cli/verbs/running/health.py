"""``actr health``: whether the peer of this configuration runs and is registered."""

from __future__ import annotations

import json

import typer

from actr_peer.cli.exits import Exit, printable
from actr_peer.cli.options import AsJson, ConfigFile, IdFlag
from actr_peer.errors import ConfigError
from actr_peer.node.config.loading import load
from actr_peer.node.config.reading import control_path
from actr_peer.node.process.probe import is_healthy


def health(*, own: IdFlag = None, config: ConfigFile = None, is_json: AsJson = False) -> None:
    """Ask the running peer; the exit status is 0 where it is healthy, else 1."""
    path = control_path(load(config, {} if own is None else {"actor.id": own}).settings)
    if path is None:
        raise ConfigError("control.socket is empty: a peer without one cannot be asked")
    is_well, text = is_healthy(str(path))
    if is_json and not text.startswith("{"):
        text = json.dumps({"healthy": False, "text": text})
    print(printable(text))
    raise typer.Exit(Exit.OK if is_well else Exit.FAILED)
