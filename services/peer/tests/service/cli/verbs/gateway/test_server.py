"""Connections by HTTP/1.1 and HTTP/2: how many, in TLS, and what strangers send."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

from actr_peer.cli.verbs.gateway import server
from actr_peer.cli.verbs.gateway.server import HttpServer, tls_context
from actr_peer.errors import ConfigError
from actr_peer.wire.tcp import listen
from peer_kit.gateway import certificate_of

pytestmark = pytest.mark.service
ASKED = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Says by which version it was asked."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["http_version"].encode()})


@asynccontextmanager
async def serving(
    tls: ssl.SSLContext | None = None, app: Any = application
) -> AsyncIterator[tuple[HttpServer, int]]:
    with await listen("127.0.0.1", 0) as sock:
        async with HttpServer(app, sock, tls) as served:
            yield served, sock.getsockname()[1]


async def asked(port: int, data: bytes = ASKED) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(60):
            return await reader.read(65536)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_connection_too_many_is_ended_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 1)
    async with serving() as (served, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASKED)
        assert b"200" in await reader.readline()
        assert await asked(port) == b""
        assert served.document == {"open": 1, "refused": 1, "failed": 0}
        writer.close()


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100_000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000,
        b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n"
        b"http2-settings: !\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
)
async def test_what_is_no_http_ends_its_connection_and_nothing_else(data: bytes) -> None:
    async with serving() as (served, port):
        assert b"200" not in (await asked(port, data))[:15]
        assert (await asked(port)).startswith(b"HTTP/1.1 200")
        assert served.document["refused"] == 0


async def test_data_behind_the_end_of_a_reply_ends_the_connection_quietly() -> None:
    """Hypercorn knows nothing of the stream any more, and fails."""
    async with serving() as (served, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        client.initiate_connection()
        head = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
        client.send_headers(1, head)
        writer.write(client.data_to_send())
        events: list[object] = []
        while not any(isinstance(each, h2.events.StreamEnded) for each in events):
            events += client.receive_data(await reader.read(65536))
        client.send_data(1, b"late")
        writer.write(client.data_to_send())
        while await reader.read(65536):
            continue
        writer.close()
        assert served.failed == 1
        assert (await asked(port)).startswith(b"HTTP/1.1 200")


async def test_tls_offers_http2(tmp_path: Path) -> None:
    certificate, key = certificate_of(tmp_path)
    async with serving(tls_context(certificate, key)) as (_, port):
        context = ssl.create_default_context(cafile=str(certificate))
        context.set_alpn_protocols(["h2"])
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="localhost"
        )
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        writer.close()
        await writer.wait_closed()


def test_files_that_are_no_certificate_are_refused(tmp_path: Path) -> None:
    certificate, _ = certificate_of(tmp_path)
    with pytest.raises(ConfigError, match="--certificate"):
        tls_context(certificate, certificate)


async def test_draining_waits_for_what_runs_and_takes_nothing_new() -> None:
    may_end, began = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        began.set()
        await may_end.wait()
        await application(scope, receive, send)

    async with serving(app=slow) as (served, port):
        running = asyncio.ensure_future(asked(port))
        await began.wait()
        draining = asyncio.ensure_future(served.drain(60))
        await asyncio.sleep(0)
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
        assert not draining.done()
        may_end.set()
        assert b"200" in await running
        await draining
