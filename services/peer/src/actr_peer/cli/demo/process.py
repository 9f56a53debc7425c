"""What both peers of the demo do around their work: settings, loop, and the end."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from actr_peer.cli.demo.report import Failed, tell
from actr_peer.cli.exits import ending
from actr_peer.errors import PeerError
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.loading import load
from actr_peer.node.process.logs import configure_logs
from actr_peer.node.process.startup import run_loop


def peer_main(work: Callable[[NodeConfig], Coroutine[Any, Any, None]]) -> None:
    """Run ``work`` to its end; an error raised on purpose is told to the parent."""
    with ending(_tell):
        settings = load().settings
        configure_logs(settings.log)
        run_loop(work(NodeConfig.from_settings(settings)))


def _tell(error: PeerError, text: str) -> None:
    tell(Failed(error=type(error).__name__, text=text))
