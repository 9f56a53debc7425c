"""Who is in the network: it passes bytes on, keeps them all, and may alter them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from actr_peer.wire.websocket.tls.contexts import KeyHolder, dialler_context, listener_context

Alter = Callable[[bool, bytes], bytes]
"""Given whether bytes come from who connected, and the bytes; returns what goes on."""


class TcpRecorder:
    """Before a TCP port, or a Unix socket; a block.

    Attributes:
        seen: All bytes, of both directions, as they went by.
        far: Where bytes go; may be set later than the block begins. 0: whoever comes is cut off.
        came: Somebody has come.
    """

    def __init__(self, far: int | str = 0, alter: Alter = lambda _, data: data) -> None:
        self.seen = bytearray()
        self.alter = alter
        self.far = far
        self.port = 0
        self.came = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came.set()
        self._writers.append(writer)
        with suppress(OSError):
            if isinstance(self.far, str):
                far_reader, far_writer = await asyncio.open_unix_connection(self.far)
            else:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.far)
            self._writers.append(far_writer)
            await asyncio.gather(
                self._pass(True, reader, far_writer), self._pass(False, far_reader, writer)
            )

    async def _pass(
        self, is_near: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                self.seen += data
                writer.write(self.alter(is_near, data))
                await writer.drain()
        writer.close()


class UdpRecorder(asyncio.DatagramProtocol):
    """Before a UDP port: each address that sends has a socket of its own to the far side; a block.

    Attributes:
        seen: All datagrams, of both directions.
    """

    def __init__(self, far: int) -> None:
        self.seen = bytearray()
        self.port = 0
        self._far = far
        self._near: Any = None
        self._ways: dict[Any, asyncio.Future[asyncio.DatagramTransport]] = {}

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._near, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self.port = self._near.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._near.close()
        for way in self._ways.values():
            if way.done():
                way.result().close()
        await asyncio.sleep(0)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.seen += data
        if addr not in self._ways:
            self._ways[addr] = asyncio.ensure_future(self._open(addr))
        self._ways[addr].add_done_callback(lambda way: way.result().sendto(data))

    async def _open(self, addr: Any) -> asyncio.DatagramTransport:
        recorder = self

        class Back(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _: Any) -> None:
                recorder.seen += data
                recorder._near.sendto(data, addr)

        loop = asyncio.get_running_loop()
        way, _ = await loop.create_datagram_endpoint(Back, remote_addr=("127.0.0.1", self._far))
        return way


class Mutator:
    """Ends TLS with a listener's own key, and changes one byte or more of what the dialler says.

    Args:
        far: The listener's port.
        key: The holder of its key.

    Attributes:
        changed: Connections of which something was changed.
    """

    def __init__(self, far: int, key: KeyHolder, dice: random.Random) -> None:
        self.url = ""
        self.changed = 0
        self._far, self._dice = far, dice
        self._near_context, self._far_context = listener_context(key), dialler_context()
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self._near_context
        )
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"wss://127.0.0.1:{port}/v1/wire"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.sleep(0)

    def cut(self) -> None:
        """End the connections that there are."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(
                "127.0.0.1", self._far, ssl=self._far_context, server_hostname=""
            )
            self._writers.append(far_writer)
            share, number = self._dice.random(), self._dice.randrange(3)

            async def up() -> None:
                read = 0
                while data := await reader.read(65536):
                    if read == number:
                        changed = bytearray(data)
                        changed[int(share * len(data))] ^= 1 << self._dice.randrange(8)
                        data = bytes(changed)
                        self.changed += 1
                    read += 1
                    far_writer.write(data)

            async def down() -> None:
                while data := await far_reader.read(65536):
                    writer.write(data)

            both = asyncio.ensure_future(up()), asyncio.ensure_future(down())
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in both:
                task.cancel()
            await asyncio.wait(both)
        writer.close()
