"""One connection to Redis that never reconnects by itself.

What was in flight when a connection breaks is unknown, and the ledger must act on that; so the
connection pool, which mends silently, is not used.
"""

from __future__ import annotations

import asyncio
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
        # Without a time-out of its own: redis-py writes under asyncio.wait_for, which loses a
        # cancellation in Python 3.11 (cpython#86296), and a task that cannot be ended.
        options |= {"socket_timeout": None, "socket_connect_timeout": TIMEOUT}
        self._connection = kind(**options, protocol=2)
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._connection.connect()
        except (RedisError, OSError) as exc:
            await self._connection.disconnect(nowait=True)
            raise _store_error(exc, "no connection in time") from exc
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._connection.disconnect(nowait=True)

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one write and return their answers, in order.

        Cancelling it leaves the connection unusable.

        Raises:
            StoreError: If the connection broke, a command failed, or not all answers came in
                time; commands may have been run.
        """
        connection = self._connection
        if not connection.is_connected:
            raise StoreError("the connection is closed")
        try:
            async with asyncio.timeout(self._timeout):
                await connection.send_packed_command(connection.pack_commands(commands))
                return [await connection.read_response() for _ in commands]
        except (RedisError, OSError) as exc:
            raise _store_error(exc, "no answer in time") from exc

    async def run_id(self) -> bytes:
        """The id of the server process: another one has lost or loaded its data."""
        (info,) = await self.run([("INFO", "server")])
        for line in info.splitlines():
            key, _, value = line.partition(b":")
            if key == b"run_id":
                return bytes(value)
        return b""

    async def read(self) -> Any:
        """The next message of a subscription.

        Raises:
            StoreError: If there is none in time, or the connection broke.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._connection.read_response()
        except (RedisError, OSError) as exc:
            raise _store_error(exc, "silence") from exc


def _store_error(exc: Exception, when_late: str) -> StoreError:
    return StoreError(when_late if isinstance(exc, TimeoutError) else str(exc))
