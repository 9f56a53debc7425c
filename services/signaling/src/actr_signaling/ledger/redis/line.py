"""One connection to Redis that never reconnects by itself.

What was in flight when a connection breaks is unknown, and the ledger must act on that; so the
connection pool, which mends silently, is not used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Self

from redis.exceptions import RedisError

from actr_signaling.ledger.redis import answers
from actr_signaling.ledger.redis.address import CONNECT, Address
from actr_signaling.ledger.redis.answers import StoreError

TIMEOUT = 2.0
"""Seconds for a write and an answer."""

Command = tuple[str | bytes | int, ...]


class RefusedError(StoreError):
    """Redis, or its certificate, is not to be come to like this; trying again does not mend it."""


class Line:
    """An async context manager: connected inside, closed after.

    Args:
        address: Of Redis.
        timeout: Seconds to wait for each answer, and for the connection, at most :data:`CONNECT`.
        took: Told how long each write with its answers has taken.
    """

    def __init__(
        self,
        address: Address,
        *,
        timeout: float = TIMEOUT,
        took: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._address = address
        self._connection = address.connection()
        self._timeout = timeout
        self._took = took

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(min(CONNECT, self._timeout)):
                await self._connection.connect()
        except (RedisError, OSError) as exc:
            await self._close()
            raise self._store_error(exc, "no connection in time") from exc
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._close()

    async def _close(self) -> None:
        writer = self._connection._writer
        if writer is not None:
            writer.transport.abort()  # in TLS a close waits for the far side's
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
                began = perf_counter()
                await connection.send_packed_command(connection.pack_commands(commands))
                said = [await connection.read_response() for _ in commands]
                self._took(perf_counter() - began)
                return said
        except (RedisError, OSError) as exc:
            raise self._store_error(exc, "no answer in time") from exc

    async def run_id(self) -> bytes:
        """The id of the server process: another one has lost or loaded its data.

        Raises:
            StoreError: As :meth:`run`, and if the answer is none.
        """
        (info,) = await self.run([("INFO", "server")])
        for line in answers.text(info).splitlines():
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
            raise self._store_error(exc, "silence") from exc

    def _store_error(self, exc: Exception, when_late: str) -> StoreError:
        refusal = self._address.refusal(exc)
        if refusal is not None:
            return RefusedError(refusal)
        return StoreError(when_late if isinstance(exc, TimeoutError) else str(exc))
