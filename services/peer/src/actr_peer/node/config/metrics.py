"""Where an actor tells its metrics."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator

from actr_peer.node.config.section import Section, host_port

UNIX: Final = "unix:"
"""What an address begins with that is a path."""


def _address(text: str) -> str:
    if text.startswith(UNIX):
        if text == UNIX:
            raise ValueError("must name a file after unix:, for example unix:.actr/metrics.sock")
        return text
    try:
        return host_port(text)
    except ValueError:
        raise ValueError(
            "must be host:port, for example 127.0.0.1:9464, or unix:PATH; empty: nowhere"
        ) from None


class Metrics(Section):
    """Where Prometheus asks a running peer (docs/metrics.md)."""

    listen: Annotated[str, AfterValidator(_address)] = ""
    """``host:port``, or ``unix:`` and a path, with ``{id}`` and ``{instance}`` as in
    ``mailbox.path``; empty: nowhere. Whoever reaches it may read, and nothing else."""
