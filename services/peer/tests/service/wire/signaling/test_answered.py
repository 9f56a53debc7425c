"""Addresses at which something else answers than a signaling service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.http11 import Response

from actr_peer.errors import ConfigError
from actr_peer.wire.signaling.answered import another_service
from actr_peer.wire.signaling.connection import SUBPROTOCOL
from peer_kit.signaling.played import Service, make_client
from peer_kit.signaling.servers import serving

pytestmark = [pytest.mark.service, pytest.mark.timeout(60)]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            "HTTP/1.1 404 Not Found\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n",
            "HTTP status 404 Not Found is answered by 'nginx', where a signaling service takes a "
            "WebSocket: its path is /v1/ws",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP status 200 OK is answered, where"),
        ("HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:9/\r\n\r\n", "HTTP status 302 Found is"),
        ("HTTP/1.0 404 File not found\r\n\r\n", "HTTP status 404 Not Found is answered, where"),
        ("SSH-2.0-OpenSSH\r\n", "what answers there is no HTTP: write ws://host:port/v1/ws"),
    ],
)
async def test_another_server_is_told_at_once_with_the_path_of_a_service(
    answer: str, said: str
) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer.encode())

    count = 0
    async with serving(other) as port:
        service = Service()
        service.url = f"ws://127.0.0.1:{port}/ws"
        with pytest.raises(ConfigError) as caught:
            await make_client(service, start_timeout=60).__aenter__()
    assert str(caught.value).startswith(f"signaling.url = {service.url!r}: {said}")
    assert count == 1


def status(code: int) -> InvalidStatus:
    return InvalidStatus(Response(code, "", Headers()))


def unread(cause: Exception) -> InvalidMessage:
    failure = InvalidMessage("did not receive a valid HTTP response")
    failure.__cause__ = cause
    return failure


@pytest.mark.parametrize(
    "failure",
    [
        status(408),
        status(429),
        status(500),
        status(503),
        unread(EOFError("connection closed while reading HTTP status line")),
        unread(ValueError("unsupported protocol; expected HTTP/1.1: HTTP/1.0 503 Unavailable")),
        ConnectionRefusedError(),
    ],
    ids=repr,
)
def test_what_may_be_mended_by_waiting_is_no_other_service(failure: Exception) -> None:
    assert another_service(failure) == ""


async def echoes(socket: ServerConnection) -> None:
    await socket.send("hello")
    await socket.wait_closed()


async def is_silent(socket: ServerConnection) -> None:
    await socket.wait_closed()


async def hangs_up(socket: ServerConnection) -> None:
    await socket.close(1011)


@pytest.mark.parametrize("other", [echoes, is_silent, hangs_up])
async def test_who_takes_a_websocket_and_is_no_service_is_told_and_not_asked_again(
    other: Callable[[ServerConnection], Awaitable[None]],
) -> None:
    count = 0

    async def counted(socket: ServerConnection) -> None:
        nonlocal count
        count += 1
        await other(socket)

    async with serve(counted, "127.0.0.1", 0) as server:
        service = Service()
        service.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/ws"
        with pytest.raises(ConfigError, match="takes a WebSocket, and is no signaling service"):
            await make_client(service, start_timeout=60).__aenter__()
    assert count == 1


async def test_a_service_that_hangs_up_before_its_greeting_is_asked_again() -> None:
    played = Service()
    async with serve(played, "127.0.0.1", 0, subprotocols=[SUBPROTOCOL]) as server:
        played.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/ws"
        client = make_client(played, start_timeout=60)
        entering = asyncio.create_task(client.__aenter__())
        await (await played.next()).close(1011)
        await (await played.next()).register()
        await entering
        await client.__aexit__(None, None, None)
