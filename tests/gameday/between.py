"""A TCP proxy between two ends, which can be slow, and can cut what goes through it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Between:
    """Passes bytes on while its block lasts, at :attr:`port` of the loopback.

    Args:
        far: Opens a connection to the far end.

    Attributes:
        delay: Seconds for which each piece is kept, one after the other.
    """

    def __init__(self, far: Callable[[], Awaitable[Ends]]) -> None:
        self.delay = 0.0
        self.port = 0
        self._far = far
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> int:
        """Reset all connections; return how many there were."""
        cut, self._open = self._open, set()
        for writer in cut:
            writer.transport.abort()
        return len(cut)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far_reader, far_writer = await self._far()
            ends = {writer, far_writer}
            self._open |= ends
            try:
                await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
            finally:
                self._open -= ends
                for end in ends:
                    end.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            await asyncio.sleep(self.delay)
            writer.write(data)
            await writer.drain()
        writer.close()
