"""A Unix socket on which other processes of the same user ask this one.

A request is one line, the answer one JSON document, and the end of the connection. Requests are
bounded in number, length and time. What fails while it is answered ends that answer only.

It stands in ``state/`` because the mailbox answers on one too; what an actor tells of itself is in
:mod:`actr_peer.node.process.socket`.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

from actr_peer.tasks import Tasks

Answer = Callable[[bytes], Awaitable[object]]
"""Makes what ``json`` can write of a line without its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much a socket takes.

    Attributes:
        request_bytes: Of one line.
        clients: At once; one more is told so.
        seconds: For one request and its answer.
    """

    request_bytes: int
    clients: int
    seconds: float


@contextmanager
def socket_address(path: str) -> Iterator[str]:
    """``path``, in a form that fits into a socket's address of 108 bytes, where there is one."""
    folder, name = os.path.split(path)
    descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        short = f"/proc/self/fd/{descriptor}"
        yield f"{short}/{name}" if os.path.isdir(short) else path
    finally:
        os.close(descriptor)


def listen(address: str) -> socket.socket:
    """A socket at ``address`` that only the own user can connect to.

    Raises:
        OSError: If none can be made there, or there is one.
    """
    listener = socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(listener.fileno(), 0o600)  # Linux gives the socket's file the mode of this one
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


class LocalSocket:
    """Answers for as long as its block lasts; removes the socket at the end.

    Args:
        name: Of its tasks, in logs.
        path: Where ``listener`` is.
    """

    def __init__(
        self, name: str, listener: socket.socket, path: str, answer: Answer, bounds: Bounds
    ) -> None:
        self._path = path
        self._listener = listener
        self._answer = answer
        self.bounds = bounds
        self._tasks = Tasks(name)
        self._server: asyncio.Server
        self.clients: set[_Client] = set()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Client(self), sock=self._listener)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for client in tuple(self.clients):
            client.abort()
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        await self._tasks.__aexit__(exc_type, exc, traceback)

    def serve(self, client: _Client, line: bytes) -> None:
        """Answer one line."""

        def failed(exc: BaseException) -> None:
            client.answer({"error": f"failed with {type(exc).__name__}"})

        self._tasks.start("request", self._serve(client, line), failed=failed)

    async def _serve(self, client: _Client, line: bytes) -> None:
        client.answer(await self._answer(line))


class _Client(asyncio.Protocol):
    """One connection: a line in, a document out."""

    def __init__(self, server: LocalSocket) -> None:
        self._server = server
        self._line = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is no subclass
        bounds, clients = self._server.bounds, self._server.clients
        self._timer = asyncio.get_running_loop().call_later(bounds.seconds, self.abort)
        clients.add(self)
        if len(clients) > bounds.clients:
            self.answer({"error": f"more than {bounds.clients} clients at once"})

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing() or b"\n" in self._line:
            return
        self._line += data
        line, newline, _ = self._line.partition(b"\n")
        most = self._server.bounds.request_bytes
        if len(line) > most:
            self.answer({"error": f"a request is one line of {most} bytes at most"})
        elif newline:
            self._server.serve(self, line)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._server.clients.discard(self)

    def answer(self, document: object) -> None:
        """Send ``document`` and end the connection."""
        text = json.dumps(document).encode() + b"\n"
        if not self._transport.is_closing():
            self._transport.write(text)
            self._transport.close()

    def abort(self) -> None:
        """End now, with or without an answer."""
        self._transport.abort()
