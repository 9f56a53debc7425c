"""What abusers of sockets share: raw TCP from an address of their own, and an upgrade by hand."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

from websockets.frames import Frame, Opcode

SOURCE = "127.0.0.66"
"""Another address of this machine than that of the honest: limits for each address can be seen."""
BREATH = 0.02
"""Seconds between two attempts of one abuser that is cut again and again."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(url: str, source: str = SOURCE) -> Connection:
    parts = urlsplit(url)
    assert parts.hostname
    return await asyncio.open_connection(parts.hostname, parts.port, local_addr=(source, 0))


def upgrade_head(url: str, *more: str) -> bytes:
    """A good request for an upgrade, with more lines where they are given."""
    parts = urlsplit(url)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def upgrade(url: str, source: str = SOURCE) -> Connection:
    """A WebSocket that has spoken no word yet."""
    reader, writer = await connect(url, source)
    writer.write(upgrade_head(url))
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin=fin).serialize(mask=True)


async def read_all(reader: asyncio.StreamReader) -> None:
    """Take what comes and forget it, until the end."""
    while await reader.read(1 << 16):
        pass


async def again(one: Callable[[], Awaitable[None]]) -> None:
    """Do it again whenever it was cut."""
    while True:
        with contextlib.suppress(OSError, EOFError):  # it was cut
            await one()
        await asyncio.sleep(BREATH)


async def many(count: int, one: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """So many at once, each again and again."""
    tasks = [asyncio.create_task(again(one)) for _ in range(count)]
    await asyncio.sleep(0.3)
    yield
    await asyncio.gather(*tasks)


async def pour(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write it without end, as fast as it is taken."""
    while True:
        writer.write(data)
        await writer.drain()
