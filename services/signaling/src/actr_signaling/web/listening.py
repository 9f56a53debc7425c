"""Shell: uvicorn as it is run here: own socket, own signals, an event in place of a poll."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn

from actr_signaling.errors import ConfigError

BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn's server without its signals and without its ten wake-ups a second.

    Args:
        ready: Called once, when connections are accepted.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Stop serving; ``serve`` returns after a clean shutdown."""
        self.should_exit = True
        self._leaving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def main_loop(self) -> None:
        await self._leaving.wait()


def bind(host: str, port: int, shown: str) -> socket.socket:
    """A socket that listens.

    Args:
        port: 0 takes a free one.
        shown: The setting, as an error names it.

    Raises:
        ConfigError: If there is no such address, or it is in use.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind)
    except OSError as exc:
        raise ConfigError(f"{shown}: {exc.strerror}") from exc
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        raise ConfigError(
            f"{shown}: {exc.strerror}; choose another port, or 0 for a free one"
        ) from exc
    return listener


def host_of(listener: socket.socket) -> str:
    """``host:port`` under which this machine reaches it."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
