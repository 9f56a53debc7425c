"""Two signaling services around one Redis, behind one name, are replaced one by one under calls."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from actr.services.reflection_actr import ReflectionClient
from actr.services.reflection_pb2 import DescribeRequest
from actr_peer import Node, Service, System
from actr_peer.errors import PeerError
from actr_peer.tasks import Tasks
from peer_kit.signaling import SignalingService, config
from tests.skips import lacking

pytestmark = [
    pytest.mark.service,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("redis-server") is None, reason=lacking("redis-server")),
]

OLD_CALLERS = 3


class Room(Service):
    """Has no more than every actor has: it tells what it serves."""


class Name:
    """One address for those of several services that take connections, as a name of a cluster is.

    A connection goes to the next of them that is not :attr:`leaving`, and is passed on as it is.
    """

    def __init__(self, services: list[SignalingService]) -> None:
        self.services = services
        self.leaving: SignalingService | None = None
        self.url = ""
        self.is_served = asyncio.Event()
        self._turn = count()

    async def serve(self) -> None:
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/ws"
        self.is_served.set()
        async with server:
            await server.serve_forever()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = [service for service in self.services if service is not self.leaving]
        service = there[next(self._turn) % len(there)]
        with contextlib.suppress(OSError):
            back, on = await asyncio.open_connection("127.0.0.1", urlsplit(service.url).port)
            await asyncio.gather(_pass(reader, on), _pass(back, writer))
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
    writer.close()


class Calls:
    """Those that were answered, and what the others ended with."""

    def __init__(self, room: Node) -> None:
        self.old = 0
        self.new = 0
        self._told = asyncio.Event()
        self.failed: list[str] = []
        self._room = room.ref.id

    async def repeat(self, node: Node) -> None:
        """Calls of one that is there all the time."""
        while True:
            self.old += await self._call(node)
            await asyncio.sleep(0.02)

    async def newcomers(self, url: str) -> None:
        """One after the other comes, finds the room, calls it and leaves."""
        for number in count():
            async with System(config(f"new{number}", url)).attach(Room()) as node:
                self.new += await self._call(node)

    async def more(self, number: int = 3) -> None:
        """Wait for more calls, of those who were there and of newcomers."""
        old, new = self.old + number, self.new + number
        async with asyncio.timeout(60):
            while self.old < old or self.new < new:
                self._told.clear()
                await self._told.wait()

    async def _call(self, node: Node) -> int:
        try:
            told = ReflectionClient(node.ref.to(self._room)).describe(DescribeRequest(), timeout=20)
            assert [part async for part in told]
        except PeerError as exc:
            self.failed.append(f"{type(exc).__name__}: {exc}")
            return 0
        finally:
            asyncio.get_running_loop().call_soon(self._told.set)
        return 1


@pytest.fixture
async def redis_url(tmp_path: Path) -> AsyncIterator[str]:
    path = tmp_path / "redis.sock"
    server = await asyncio.create_subprocess_exec(
        *("redis-server", "--port", "0", "--unixsocket", str(path), "--dir", str(tmp_path)),
        *("--save", "", "--appendonly", "no"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdout is not None
    async with asyncio.timeout(60):
        while b"eady to accept connections" not in await server.stdout.readline():
            assert server.returncode is None
    yield f"unix://{path}"
    server.terminate()
    await server.communicate()


async def test_no_call_fails_while_services_are_replaced_one_by_one(redis_url: str) -> None:
    async with AsyncExitStack() as stack:
        services = [
            await stack.enter_async_context(SignalingService(None, REDIS_URL=redis_url))
            for _ in range(2)
        ]
        name = Name(services)
        tasks = await stack.enter_async_context(Tasks("name"))
        tasks.start("serve", name.serve())
        await name.is_served.wait()
        room = await stack.enter_async_context(System(config("room", name.url)).attach(Room()))
        callers = [
            await stack.enter_async_context(System(config(f"old{n}", name.url)).attach(Room()))
            for n in range(OLD_CALLERS)
        ]
        async with Tasks("calls") as calling:
            calls = Calls(room)
            for caller in callers:
                calling.start("old", calls.repeat(caller))
            calling.start("new", calls.newcomers(name.url))
            await calls.more()
            for service in services:
                name.leaving = service
                await service.stop()
                await service.start()
                name.leaving = None
                await calls.more()
        assert calls.failed == []
