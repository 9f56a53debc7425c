"""What the tables of ``actr.toml`` have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of ``actr.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def host_port(text: str) -> str:
    """``text``, if somebody can listen there, or it is empty.

    Raises:
        ValueError: If it is no address; says what is.
    """
    host, colon, port = text.rpartition(":")
    if text and not (host and colon and port.isdecimal() and int(port) < 1 << 16):
        raise ValueError(
            "must be host:port, for example 127.0.0.1:9100; port 0 takes a free one; empty: no "
            "listener"
        )
    return text
