"""How another process asks a running mailbox to replay or drop dead letters.

A Unix socket beside the database file (:mod:`actr_peer.state.local_socket`). A request is JSON, and
so is the answer::

    -> {"do": "replay", "sequences": [3, 5]}
    <- {"done": [3]}                          or {"error": "what is wrong"}

Reading needs no socket: another process reads the database itself.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Self

from actr_peer.state.local_socket import Bounds, LocalSocket, listen, socket_address
from actr_peer.state.storage.database import StorageError

log = logging.getLogger(__name__)

BOUNDS = Bounds(request_bytes=64 * 1024, clients=4, seconds=10.0)

Verb = Callable[[list[int]], Awaitable[list[int]]]
"""Takes sequence numbers, returns those of them that it has done."""


class Letterbox:
    """Answers for as long as its block lasts; does without where no socket can be made.

    Args:
        path: Where the socket is made; what is left of an earlier one is removed, for the
            mailbox's lock says that nobody listens there.
    """

    def __init__(self, path: str, verbs: Mapping[str, Verb]) -> None:
        self._path = path
        self._verbs = verbs
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            with suppress(FileNotFoundError):
                os.unlink(self._path)
            with socket_address(self._path) as address:
                listener = listen(address)
        except OSError as exc:
            log.warning("no letterbox: path=%s cause=%s", self._path, exc)
            return self
        server = LocalSocket("letterbox", listener, self._path, self._answer, BOUNDS)
        await self._stack.enter_async_context(server)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _answer(self, line: bytes) -> dict[str, object]:
        """Do what one line asks."""
        try:
            verb, sequences = _parse(line)
        except ValueError as exc:
            return {"error": str(exc)}
        act = self._verbs.get(verb)
        if act is None:
            return {"error": f"nothing to do called {verb!r}"}
        try:
            return {"done": await act(sequences)}
        except StorageError as exc:
            return {"error": str(exc)}


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


def is_answered(path: str) -> bool:
    """Whether a running mailbox listens at ``path``."""
    try:
        ask(path, "nothing", [])
    except ValueError:  # it says that there is no such verb
        return True
    except OSError:
        return False
    return True


def ask(path: str, verb: str, sequences: list[int]) -> list[int]:
    """Have the mailbox behind the socket at ``path`` do ``verb``; blocks.

    Raises:
        OSError: If nobody answers there.
        ValueError: If it cannot be done; the text says why.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(BOUNDS.seconds)
        with socket_address(path) as address:
            client.connect(address)
        client.sendall(json.dumps({"do": verb, "sequences": sequences}).encode() + b"\n")
        with client.makefile("rb") as stream:
            answer = json.loads(stream.readline())
    if "error" in answer:
        raise ValueError(answer["error"])
    done: list[int] = answer["done"]
    return done
