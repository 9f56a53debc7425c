"""What both peers of the demo do around their work: settings, loop, and the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import Any

from actr_peer.cli.demo.report import Failed, tell
from actr_peer.cli.exits import explain
from actr_peer.errors import PeerError
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.loading import load
from actr_peer.node.process.startup import configure_logs, run_loop
from actr_peer.tasks import first_cause


def peer_main(work: Callable[[NodeConfig], Coroutine[Any, Any, None]]) -> None:
    """Run ``work`` to its end; an error raised on purpose is told to the parent."""
    try:
        settings = load().settings
        configure_logs(settings.log)
        run_loop(work(NodeConfig.from_settings(settings)))
    except (PeerError, BaseExceptionGroup) as exc:
        cause = first_cause(exc)
        if not isinstance(cause, PeerError):
            raise
        _end(cause)


def _end(error: PeerError) -> None:
    code, text = explain(error)
    tell(Failed(error=type(error).__name__, text=text))
    sys.exit(code)
