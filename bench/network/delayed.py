"""A relay of TCP that is far away.

What comes waits for so long, each way; the first bytes of a connection three times as long, for
over such a path they follow a SYN and its answer. Where the kernel can delay packets
(``tc netem``), that is better; not every kernel has it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress


async def carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float, first: float
) -> None:
    """Pass on what comes, ``delay`` later, in order."""
    loop = asyncio.get_running_loop()
    due = loop.time() + first
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            due = max(due + 1e-6, loop.time() + delay)
            loop.call_at(due, writer.write, data)
    loop.call_at(max(due + 1e-6, loop.time() + delay), writer.close)


async def relay(port: int, delay: float) -> None:
    """Relay to a port of this machine until ended."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            carry(reader, far_writer, delay, 3 * delay), carry(far_reader, writer, delay, delay)
        )

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sys.stdout.write(json.dumps({"port": server.sockets[0].getsockname()[1]}) + "\n")
    sys.stdout.flush()
    await server.serve_forever()
