"""Echoes over a bare ``websockets`` connection: ``python -m bench.rivals.echo`` is the far side."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from bench.rivals.naive import FILLER, KEY_BYTES
from lab.processes import Child


class Echoes:
    """The near side: numbered messages, so that several may be under way."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = count()
        self._waiters: dict[bytes, asyncio.Future[None]] = {}

    async def ask(self) -> None:
        """One echo of 100 bytes."""
        key = next(self._numbers).to_bytes(KEY_BYTES, "big")
        waiter = self._waiters[key] = asyncio.get_running_loop().create_future()
        await self._connection.send(key + FILLER)
        await waiter

    async def read(self) -> None:
        async for message in self._connection:
            assert isinstance(message, bytes)
            self._waiters.pop(message[:KEY_BYTES]).set_result(None)


@asynccontextmanager
async def connected(far: Child) -> AsyncIterator[Echoes]:
    """A connection to a process of this module."""
    url = f"ws://127.0.0.1:{(await far.line())['port']}"
    async with connect(url, compression=None) as connection, asyncio.TaskGroup() as tasks:
        echoes = Echoes(connection)
        reading = tasks.create_task(echoes.read())
        yield echoes
        reading.cancel()


async def echo(connection: ServerConnection) -> None:
    """The far side of one connection."""
    async for message in connection:
        await connection.send(message)


async def main() -> None:
    """Serve until standard input ends."""
    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        sys.stdout.write(json.dumps({"port": port}) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    uvloop.run(main())
