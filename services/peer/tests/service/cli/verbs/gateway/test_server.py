"""Connections by HTTP/1.1 and HTTP/2: how many, in TLS, and what strangers send."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

from actr_peer.cli.verbs.gateway import bounds, command, connection, server
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


async def test_a_host_has_a_share_and_descriptors_are_spared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "MAX_OF_HOST", 1)
    async with serving() as (served, port):
        for refused in (1, 2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(ASKED)
            assert b"200" in await reader.readline()
            assert await asked(port) == b""
            assert served.refused == refused
            writer.close()
            while served.open:
                await reader.read(65536)
                await asyncio.sleep(0)
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        monkeypatch.setattr(server, "SPARE_DESCRIPTORS", soft)
        assert await asked(port) == b""


async def test_a_connection_counts_before_its_handshake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 1)
    async with serving(tls_context(*certificate_of(tmp_path))) as (served, port):
        _, silent = await asyncio.open_connection("127.0.0.1", port)
        assert await asked(port) == b""
        assert served.document == {"open": 1, "refused": 1, "failed": 0}
        silent.close()


async def test_a_connection_by_http2_carries_more_than_a_thousand_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Past its bound Hypercorn begins a request, and swallows what is sent on the connection."""
    made = server._config
    default = server.Config().keep_alive_max_requests
    may_end = asyncio.Event()

    async def held(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/held":
            await may_end.wait()
        await application(scope, receive, send)

    assert made().keep_alive_max_requests > default
    async with serving(app=held) as (_, port), asyncio.timeout(120):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        client.initiate_connection()
        ended: set[int] = set()

        async def ask(path: str) -> int:
            stream = client.get_next_available_stream_id()
            head = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a")]
            client.send_headers(stream, head, end_stream=True)
            writer.write(client.data_to_send())
            return stream

        async def until(stream: int) -> None:
            while stream not in ended:
                data = await reader.read(65536)
                assert data, f"{len(ended)} calls, and it has ended"
                for event in client.receive_data(data):
                    if isinstance(event, h2.events.StreamEnded):
                        ended.add(event.stream_id)
                writer.write(client.data_to_send())

        beside = await ask("/held")
        for _ in range(default + 2):
            await until(await ask("/"))
        may_end.set()
        await until(beside)
        writer.close()


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - of a server that has no events for tests
        await asyncio.sleep(0)


def unsent(served: HttpServer) -> bool:
    return any(each.transport.get_write_buffer_size() for each in served._writers)


async def test_the_end_does_not_wait_for_who_reads_nothing() -> None:
    async def long(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            body = {"type": "http.response.body", "body": bytes(100_000), "more_body": True}
            await send(body)

    with socket.socket() as client:
        async with asyncio.timeout(60), serving(app=long) as (served, port):
            client.connect(("127.0.0.1", port))
            client.sendall(ASKED)
            await until(lambda: unsent(served))
            await served.drain(0)
            assert served.open == 1


async def test_an_idle_connection_ends_whatever_its_reader_has_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.5)
    monkeypatch.setattr(connection, "FLUSH_SECONDS", 0.1)
    answered = wanted = 0

    async def short(scope: Any, receive: Any, send: Any) -> None:
        nonlocal answered
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(10_000)})
        answered += 1

    def has_answered() -> bool:
        return answered == wanted

    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with asyncio.timeout(60), serving(app=short) as (served, port):
            client.connect(("127.0.0.1", port))
            while not served.open or not unsent(served):
                client.sendall(ASKED)
                wanted += 1
                await until(has_answered)
            assert served.open == 1
            await until(lambda: not served.open)


@pytest.mark.parametrize("more", [b"x", ASKED, bytes(50_000)])
async def test_who_leaves_with_more_behind_its_request_frees_its_place(
    monkeypatch: pytest.MonkeyPatch, more: bytes
) -> None:
    monkeypatch.setattr(connection, "GONE_SECONDS", 0.1)
    began, ended = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with asyncio.timeout(60), serving(app=slow) as (served, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASKED + more)
        await began.wait()
        writer.close()
        await ended.wait()
        await until(lambda: not served.open)


async def test_who_leaves_an_upload_that_nobody_takes_frees_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "GONE_SECONDS", 0.1)
    began, ended = asyncio.Event(), asyncio.Event()

    async def taking_nothing(scope: Any, receive: Any, send: Any) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with asyncio.timeout(60), serving(app=taking_nothing) as (served, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(b"1\r\nx\r\n" * 100)
        await began.wait()
        writer.close()
        await ended.wait()
        await until(lambda: not served.open)


async def test_a_reader_may_pause_longer_than_a_wire() -> None:
    plan: Any = SimpleNamespace(host="127.0.0.1", port=0)
    with await command._listen(plan) as sock:
        dead = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert dead > 1000 * bounds.STALL_SECONDS
    with await listen("127.0.0.1", 0) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000


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
