"""A Unix socket on which a running peer tells about itself; ``actr ps`` and ``actr health`` ask.

A request is one line, the name of a report; the answer is one JSON document, and the end::

    -> health\\n
    <- {"healthy": true, "id": "acme:room@2:default", "pid": 71}

Only the peer's own user can connect (:mod:`actr_peer.state.local_socket`), and nothing that is
asked changes anything.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias

from actr_peer.errors import BusyError, ConfigError
from actr_peer.node.config.loading import variable
from actr_peer.node.process.probe import ask
from actr_peer.state.folder import make_state_folder
from actr_peer.state.local_socket import Bounds, LocalSocket, listen, socket_address

MAX_REQUEST_BYTES: Final = 64
MAX_CLIENTS: Final = 8
REQUEST_TIMEOUT: Final = 2.0
"""Seconds a client has, to ask and to take the answer."""

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
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            BusyError: If another process answers on this path.
            ConfigError: If no socket can be made there.
        """
        listener, path = await bind(self.path, "control"), str(self.path)
        bounds = Bounds(
            request_bytes=MAX_REQUEST_BYTES, clients=MAX_CLIENTS, seconds=REQUEST_TIMEOUT
        )
        server = LocalSocket("control", listener, path, self._answer, bounds)
        await self._stack.enter_async_context(server)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _answer(self, line: bytes) -> object:
        name = line.decode(errors="replace").strip()
        report = self._reports.get(name)
        if report is None:
            return {"error": f"no report {name!r}; known: {', '.join(self._reports)}"}
        return report()


Purpose: TypeAlias = Literal["control", "metrics"]
_KEYS: Final[Mapping[Purpose, str]] = {"control": "control.socket", "metrics": "metrics.listen"}
"""What a socket is for, and where it is configured."""


async def bind(path: Path, purpose: Purpose) -> socket.socket:
    """A socket at ``path`` that only the own user can connect to.

    Raises:
        BusyError: If another process answers there.
        ConfigError: If none can be made there.
    """
    key = _KEYS[purpose]
    try:
        make_state_folder(path)
        with socket_address(str(path)) as address:
            await _remove_dead(path, address, purpose)
            return listen(address)
    except OSError as exc:
        raise ConfigError(
            f"{key} = {str(path)!r}: {exc.strerror or exc}; name another file in {variable(key)}"
        ) from exc


async def _remove_dead(path: Path, address: str, purpose: Purpose) -> None:
    """Remove the socket of a process that was killed.

    Raises:
        BusyError: If a process answers on it.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(REQUEST_TIMEOUT)
        with suppress(FileNotFoundError):
            try:
                probe.connect(address)
            except ConnectionRefusedError:
                if not stat.S_ISSOCK(os.stat(path).st_mode):  # a file that somebody needs
                    raise OSError(errno.EEXIST, "there is a file, and it is no socket") from None
                with suppress(FileNotFoundError):
                    os.unlink(path)
            else:
                raise BusyError(
                    f"{path} is the {purpose} socket of {await _who_answers(path)}: stop that, or "
                    f"name another in {variable(_KEYS[purpose])}"
                )


async def _who_answers(path: Path) -> str:
    """``acme:room@2:default (pid 71)``, as far as it says."""
    try:
        answer = await asyncio.to_thread(ask, str(path), "health", timeout=REQUEST_TIMEOUT)
        return f"{answer['id']} (pid {answer['pid']})"
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"
