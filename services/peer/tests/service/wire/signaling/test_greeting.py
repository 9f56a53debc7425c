"""A greeting is heard of a real service, and of nothing else."""

from __future__ import annotations

import socket

import pytest
from websockets.asyncio.server import ServerConnection, serve

from actr_peer.errors import UnreachableError
from actr_peer.wire.signaling.greeting import greeting
from peer_kit.signaling import SignalingService

pytestmark = pytest.mark.service


async def test_a_service_greets_with_its_name_and_its_time() -> None:
    async with SignalingService(None) as service:
        hello = await greeting(service.url)
    assert hello.server_id
    assert hello.time > 0
    assert not hello.proof_required


async def test_nobody_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(UnreachableError, match="the upgrade came to nothing"):
        await greeting(f"ws://127.0.0.1:{port}/v1/ws")


@pytest.mark.parametrize("said", ["hello", b"\xff\xff", b"", None], ids=repr)
async def test_who_takes_a_websocket_and_says_something_else(said: str | bytes | None) -> None:
    async def other(connection: ServerConnection) -> None:
        if said is not None:
            await connection.send(said)
            await connection.wait_closed()

    async with serve(other, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UnreachableError, match="it takes a WebSocket, and does not greet"):
            await greeting(f"ws://127.0.0.1:{port}/v1/ws")
