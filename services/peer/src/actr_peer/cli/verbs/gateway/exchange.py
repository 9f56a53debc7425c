"""One request's bytes in both directions, each with its time, and its end without a loose one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

from actr_peer.cli.verbs.gateway.bounds import (
    DRAIN_SECONDS,
    DRAINED_BYTES,
    PIECE_BYTES,
    REQUEST_SECONDS,
    STALL_SECONDS,
)
from actr_peer.errors import BrokenError, DeadlineError
from actr_peer.protocol.rpc.connect.refusals import Reply

Message: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class Exchange:
    """ASGI's ``receive`` and ``send`` of one request, bounded.

    The server below must not see a reply end before its request: of HTTP/2 it would drop the
    connection, of HTTP/1.1 the reply might get lost with what is unread. So the last of a reply
    waits until the request is read and thrown away, as far as the bounds reach; a caller that goes
    on sending is cut off.

    Args:
        abort: Cuts the connection.
    """

    def __init__(self, receive: Receive, send: Send, abort: Callable[[], None]) -> None:
        self._receive = receive
        self._send = send
        self._abort = abort
        self._shown: tuple[tuple[str, str], ...] = ()
        self.is_read = False
        """Nothing more of the request will come."""
        self._is_gone = False
        self._until: float | None = None

    def show(self, headers: tuple[tuple[str, str], ...]) -> None:
        """Have the reply carry these headers besides its own."""
        self._shown = headers

    def expect_one(self) -> None:
        """The request is one message, which must be there within its time."""
        self._until = asyncio.get_running_loop().time() + REQUEST_SECONDS

    async def receive(self) -> Message:
        """What came next. A stream of requests may be quiet, and behind a request it waits for the
        caller to go, however long.

        Raises:
            DeadlineError: If nothing came in time of a request that is one message.
        """
        if self.is_read or self._until is None:
            return self._seen(await self._receive())
        stalled = asyncio.get_running_loop().time() + STALL_SECONDS
        try:
            async with asyncio.timeout_at(min(self._until, stalled)):
                message = await self._receive()
        except TimeoutError as exc:
            self._until = 0.0  # nobody waits for the rest, either
            raise DeadlineError("the request did not come in time") from exc
        return self._seen(message)

    async def send(self, message: Message) -> None:
        """Send the next of the reply, once the caller has taken most of what was sent before.

        Raises:
            BrokenError: If it takes none of it in time: its connection is cut.
        """
        if message["type"] == "http.response.start" and self._shown:
            more = [(name.encode(), value.encode()) for name, value in self._shown]
            message = {**message, "headers": [*message["headers"], *more]}
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if is_last and not self.is_read:
            await self._sent({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._sent(message)

    async def reply(self, reply: Reply) -> None:
        """Send a reply that is whole.

        Raises:
            BrokenError: As :meth:`send`.
        """
        headers: Iterable[tuple[str, str]] = reply.headers
        if reply.status != 204:
            headers = (*reply.headers, ("content-length", str(len(reply.body))))
        encoded = [(name.encode(), value.encode()) for name, value in headers]
        await self.send({"type": "http.response.start", "status": reply.status, "headers": encoded})
        await self.send({"type": "http.response.body", "body": reply.body})

    def cut(self) -> None:
        """End the connection at once."""
        self._abort()

    def _seen(self, message: Message) -> Message:
        self._is_gone = message["type"] == "http.disconnect"
        self.is_read = self._is_gone or not message.get("more_body", False)
        return message

    async def _sent(self, message: Message) -> None:
        """Send it in pieces: the time is for each, not for how long a reply is."""
        body = message.get("body", b"")
        for at in range(PIECE_BYTES, len(body), PIECE_BYTES):
            piece = body[at - PIECE_BYTES : at]
            await self._took({"type": message["type"], "body": piece, "more_body": True})
        if len(body) > PIECE_BYTES:
            message = {**message, "body": body[(len(body) - 1) // PIECE_BYTES * PIECE_BYTES :]}
        await self._took(message)

    async def _took(self, message: Message) -> None:
        if self._is_gone:  # nobody takes it out of the server's buffers any more
            raise BrokenError("the caller has left")
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await self._send(message)
        except TimeoutError as exc:
            self.cut()
            raise BrokenError("the caller takes nothing of its reply") from exc

    async def _drain(self) -> None:
        """Read what is left of the request, and throw it away.

        Raises:
            BrokenError: If it is too much, or comes too slowly: the connection is cut.
        """
        left = DRAINED_BYTES
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self.is_read:
                    message = self._seen(await self._receive())
                    left -= len(message.get("body", b""))
                    if left < 0 and not self.is_read:
                        raise TimeoutError
        except TimeoutError as exc:
            self.cut()
            raise BrokenError("the caller goes on sending what nobody reads") from exc
