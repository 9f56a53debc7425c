"""One connection to Redis that never reconnects by itself.

What was in flight when a connection breaks is unknown, and the ledger must act on that; so the
connection pool, which mends silently, is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from redis.asyncio.connection import Connection, parse_url
from redis.exceptions import RedisError

TIMEOUT = 2.0
"""Seconds for a connection, a write and an answer."""

Command = tuple[str | bytes | int, ...]


class StoreError(Exception):
    """Redis is away, does not answer in time, or answers an error."""


class Line:
    """An async context manager: connected inside, closed after.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        timeout: Seconds to wait for a connection, and for each answer.
    """

    def __init__(self, url: str, *, timeout: float = TIMEOUT) -> None:
        options: dict[str, Any] = dict(parse_url(url))
        kind = options.pop("connection_class", Connection)
        self._connection = kind(
            **options, protocol=2, socket_timeout=timeout, socket_connect_timeout=TIMEOUT
        )

    async def __aenter__(self) -> Self:
        try:
            await self._connection.connect()
        except (RedisError, OSError) as exc:
            await self._connection.disconnect(nowait=True)
            raise StoreError(str(exc)) from exc
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._connection.disconnect(nowait=True)

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one write and return their answers, in order.

        Cancelling it leaves the connection unusable.

        Raises:
            StoreError: If the connection broke or a command failed; others may have been run.
        """
        await self.write(commands)
        return [await self.read() for _ in commands]

    async def write(self, commands: Sequence[Command]) -> None:
        if not self._connection.is_connected:
            raise StoreError("the connection is closed")
        try:
            await self._connection.send_packed_command(self._connection.pack_commands(commands))
        except (RedisError, OSError) as exc:
            raise StoreError(str(exc)) from exc

    async def read(self) -> Any:
        """The next answer, or the next message of a subscription.

        Raises:
            StoreError: If there is none in time, or it is an error.
        """
        try:
            return await self._connection.read_response()
        except (RedisError, OSError) as exc:
            raise StoreError(str(exc)) from exc
