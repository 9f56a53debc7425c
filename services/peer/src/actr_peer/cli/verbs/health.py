"""``actr health``: whether the peer of this configuration runs and is registered."""

from __future__ import annotations

import sys

from actr_peer.cli.exits import Exit
from actr_peer.errors import ConfigError
from actr_peer.node.config.loading import load
from actr_peer.node.config.reading import control_path
from actr_peer.node.process.probe import is_healthy


def health() -> None:
    """Ask the running peer; the exit status is 0 where it is healthy, else 1."""
    path = control_path(load().settings)
    if path is None:
        raise ConfigError("control.socket is empty: a peer without one cannot be asked")
    ok, text = is_healthy(str(path))
    print(text)
    sys.exit(Exit.OK if ok else Exit.FAILED)
