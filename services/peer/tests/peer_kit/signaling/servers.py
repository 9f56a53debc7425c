"""Servers of bytes on loopback, for what a client makes of answers that no library gives."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from peer_kit.fakes import turns

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handle: Handle, *, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on a port of its own; all of its connections have ended with the block.

    A connection ends with its handler; one that is cut by the far side ends it quietly. What else
    a handler raises is raised where the block ends.
    """
    writers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers[asyncio.ensure_future(ending(reader, writer))] = writer

    async def ending(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await handle(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await turns()  # who was accepted in this one has a handler then
        for task, writer in writers.items():
            task.cancel()
            with suppress(AttributeError):  # TLS that was lost already has nothing to abort
                writer.transport.abort()
        await asyncio.gather(*writers)
        await turns()  # closed sockets are told in later turns
