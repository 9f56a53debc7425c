"""A Unix socket on which a running peer tells about itself; ``actr ps`` and ``actr health`` ask.

A request is one line, the name of a report; the answer is one JSON document, and the end::

    -> health\\n
    <- {"healthy": true, "id": "acme:room@2:default"}

Only the peer's own user can connect (mode 0600). Requests are bounded in number, length and
time, and nothing that is asked changes anything.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast

from actr_peer.errors import BusyError, ConfigError

MAX_REQUEST_BYTES: Final = 64
MAX_CLIENTS: Final = 8
REQUEST_TIMEOUT: Final = 2.0
"""Seconds a client has to ask."""

Report = Callable[[], object]
"""Makes what ``json`` can write; called on the loop, so it does not wait."""


class ControlSocket:
    """Answers requests for as long as its block lasts; removes the socket at the end.

    Args:
        path: Where the socket is made.
        reports: Name to report.
    """

    def __init__(self, path: Path, reports: Mapping[str, Report]) -> None:
        self.path = path
        self._reports = reports
        self._server: asyncio.Server | None = None
        self._clients: set[_Conversation] = set()

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            BusyError: If another process answers on this path.
            ConfigError: If no socket can be made there.
        """
        listener = _bind(self.path)
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: _Conversation(self._reports, self._clients), sock=listener
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for client in tuple(self._clients):
            client.close()
        await self._server.wait_closed()
        self.path.unlink(missing_ok=True)


class _Conversation(asyncio.Protocol):
    """One client: a line in, a document out."""

    def __init__(self, reports: Mapping[str, Report], clients: set[_Conversation]) -> None:
        self._reports = reports
        self._clients = clients
        self._asked = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is no subclass
        self._timeout = asyncio.get_running_loop().call_later(REQUEST_TIMEOUT, self.close)
        self._clients.add(self)
        if len(self._clients) > MAX_CLIENTS:
            self._answer({"error": f"more than {MAX_CLIENTS} clients at once"})

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._asked += data
        if b"\n" in self._asked:
            name = self._asked.partition(b"\n")[0].decode(errors="replace").strip()
            report = self._reports.get(name)
            known = ", ".join(self._reports)
            self._answer(report() if report else {"error": f"no report {name!r}; known: {known}"})
        elif len(self._asked) > MAX_REQUEST_BYTES:
            self._answer({"error": f"a request is one line of {MAX_REQUEST_BYTES} bytes at most"})

    def connection_lost(self, exc: Exception | None) -> None:
        self._timeout.cancel()
        self._clients.discard(self)

    def close(self) -> None:
        """End now, with or without an answer."""
        self._transport.abort()

    def _answer(self, document: object) -> None:
        self._transport.write(json.dumps(document).encode() + b"\n")
        self._transport.close()


def _bind(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(listener.fileno(), 0o600)  # Linux gives the socket's file the mode of this one
        _remove_dead(path)
        listener.bind(str(path))
    except OSError as exc:
        listener.close()
        raise ConfigError(
            f"control.socket = {str(path)!r}: {exc.strerror or exc}; name another file in "
            "ACTR_CONTROL__SOCKET"
        ) from exc
    except BusyError:
        listener.close()
        raise
    return listener


def _remove_dead(path: Path) -> None:
    """Remove the socket of a process that was killed.

    Raises:
        BusyError: If a process answers on it.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(REQUEST_TIMEOUT)
        with suppress(FileNotFoundError):
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
            else:
                raise BusyError(f"another peer answers on {path}")
