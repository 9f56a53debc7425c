"""How another process asks a running mailbox to replay or drop dead letters.

A Unix socket beside the database file, for the peer's own user alone. A request is one line of
JSON, and so is the answer::

    -> {"do": "replay", "sequences": [3, 5]}
    <- {"done": [3]}                          or {"error": "what is wrong"}

Reading needs no socket: another process reads the database itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self, cast

from actr_peer.state.storage.database import StorageError
from actr_peer.tasks import Tasks

log = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 64 * 1024
MAX_CLIENTS = 4
CLIENT_TIMEOUT = 10.0
"""Seconds for one request and its answer."""

Verb = Callable[[list[int]], Awaitable[list[int]]]
"""Takes sequence numbers, returns those of them that it has done."""


@contextmanager
def _address(path: str) -> Iterator[str]:
    """``path``, in a form that fits into a socket's address of 108 bytes, where there is one."""
    folder, name = os.path.split(path)
    descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        short = f"/proc/self/fd/{descriptor}"
        yield f"{short}/{name}" if os.path.isdir(short) else path
    finally:
        os.close(descriptor)


class Letterbox:
    """Answers for as long as its block lasts; does without where no socket can be made.

    Args:
        path: Where the socket is made; what is left of an earlier one is removed, for the
            mailbox's lock says that nobody listens there.
    """

    def __init__(self, path: str, verbs: Mapping[str, Verb]) -> None:
        self._path = path
        self._verbs = verbs
        self._tasks = Tasks("letterbox")
        self._server: asyncio.Server | None = None
        self.clients: set[_Client] = set()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        listener = socket.socket(socket.AF_UNIX)
        try:
            with suppress(FileNotFoundError):
                os.unlink(self._path)
            os.fchmod(listener.fileno(), 0o600)  # Linux gives the file the mode of the socket
            with _address(self._path) as address:
                listener.bind(address)
        except OSError as exc:
            listener.close()
            log.warning("no letterbox: path=%s cause=%s", self._path, exc)
            return self
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Client(self), sock=listener)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
            for client in tuple(self.clients):
                client.abort()
            with suppress(FileNotFoundError):
                os.unlink(self._path)
        await self._tasks.__aexit__(exc_type, exc, traceback)

    def serve(self, client: _Client, line: bytes) -> None:
        """Do what one line asks, and answer."""

        def failed(exc: BaseException) -> None:
            client.answer({"error": f"failed with {type(exc).__name__}"})

        self._tasks.start("request", self._serve(client, line), failed=failed)

    async def _serve(self, client: _Client, line: bytes) -> None:
        try:
            verb, sequences = _parse(line)
        except ValueError as exc:
            client.answer({"error": str(exc)})
            return
        act = self._verbs.get(verb)
        if act is None:
            client.answer({"error": f"nothing to do called {verb!r}"})
            return
        try:
            done = await act(sequences)
        except StorageError as exc:
            client.answer({"error": str(exc)})
        else:
            client.answer({"done": done})


class _Client(asyncio.Protocol):
    """One connection: a line in, a line out."""

    def __init__(self, letterbox: Letterbox) -> None:
        self._letterbox = letterbox
        self._line = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is no subclass
        self._timer = asyncio.get_running_loop().call_later(CLIENT_TIMEOUT, self.abort)
        self._letterbox.clients.add(self)
        if len(self._letterbox.clients) > MAX_CLIENTS:
            self.answer({"error": f"more than {MAX_CLIENTS} ask at once"})

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing() or b"\n" in self._line:
            return
        self._line += data
        line, newline, _ = self._line.partition(b"\n")
        if len(line) > MAX_REQUEST_BYTES:
            self.answer({"error": f"a request has at most {MAX_REQUEST_BYTES} bytes"})
        elif newline:
            self._letterbox.serve(self, line)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._letterbox.clients.discard(self)

    def answer(self, document: Mapping[str, Any]) -> None:
        if not self._transport.is_closing():
            self._transport.write(json.dumps(document).encode() + b"\n")
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


def _parse(line: bytes) -> tuple[str, list[int]]:
    """Read a request.

    Raises:
        ValueError: If it is none.
    """
    try:
        request = json.loads(line)
    except RecursionError as exc:
        raise ValueError("a request is nested too deep") from exc
    if not isinstance(request, dict):
        raise ValueError("a request is an object")
    sequences = request.get("sequences")
    if not isinstance(sequences, list) or not all(isinstance(one, int) for one in sequences):
        raise ValueError("sequences is a list of numbers")
    return str(request.get("do")), sequences


def ask(path: str, verb: str, sequences: list[int]) -> list[int]:
    """Have the mailbox behind the socket at ``path`` do ``verb``; blocks.

    Raises:
        OSError: If nobody answers there.
        ValueError: If it cannot be done; the text says why.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(CLIENT_TIMEOUT)
        with _address(path) as address:
            client.connect(address)
        client.sendall(json.dumps({"do": verb, "sequences": sequences}).encode() + b"\n")
        with client.makefile("rb") as stream:
            answer = json.loads(stream.readline())
    if "error" in answer:
        raise ValueError(answer["error"])
    done: list[int] = answer["done"]
    return done
