"""The page over real sockets: what it tells, what it refuses, and that it has bounds."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from actr_peer import System
from actr_peer.errors import BusyError, ConfigError
from actr_peer.node.node import Node
from actr_peer.node.observe.view import NodeView
from actr_peer.node.process.metrics import page as module
from actr_peer.node.process.metrics.page import MAX_CLIENTS, MAX_REQUEST_BYTES, MetricsPage
from actr_peer.node.process.serving import answering
from lab.quiet import Quiet
from peer_kit.signaling import config

pytestmark = [pytest.mark.service, pytest.mark.timeout(60)]

GET = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture
def node() -> Node:
    return System(config("room", "ws://127.0.0.1:9/v1/ws")).attach(Quiet())


@pytest.fixture
async def page(node: Node) -> AsyncIterator[MetricsPage]:
    async with MetricsPage("127.0.0.1:0", node.view) as running:
        yield running


async def asked(page: MetricsPage, request: bytes) -> tuple[str, dict[str, str], bytes]:
    """The status line, the headers and the body of what a request is answered with."""
    reader, writer = await opened(page)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return status, dict(line.lower().split(": ", 1) for line in lines), body


async def opened(page: MetricsPage) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = page.url.removeprefix("http://").removesuffix("/metrics").split(":")
    return await asyncio.open_connection(host, int(port))


async def test_it_tells_of_the_actor_and_of_its_process(page: MetricsPage, node: Node) -> None:
    status, headers, body = await asked(page, GET)
    assert status.split()[1] == "200"
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert (headers["connection"], headers["content-length"]) == ("close", str(len(body)))
    text = body.decode()
    assert f'actr_actor_info{{id="{node.id}"' in text
    assert "\nprocess_resident_memory_bytes " in text


async def test_who_asks_for_openmetrics_gets_them(page: MetricsPage) -> None:
    accept = b"accept: application/openmetrics-text; version=1.0.0\r\n\r\n"
    _, headers, body = await asked(page, GET[:-2] + accept)
    assert headers["content-type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


async def test_the_head_alone_has_no_body(page: MetricsPage) -> None:
    status, headers, body = await asked(page, GET.replace(b"GET", b"HEAD"))
    assert (status.split()[1], body) == ("200", b"")
    assert int(headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GET.replace(b"GET", b"POST"), "405"),
        (b"PUT /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n", "405"),
        (GET.replace(b"/metrics", b"/"), "404"),
        (GET.replace(b"/metrics", b"/metrics/more"), "404"),
        (b"no request at all\r\n\r\n", "400"),
        (b"GET /metrics HTTP/1.1\r\nx: " + b"y" * MAX_REQUEST_BYTES * 2, "431"),
    ],
)
async def test_anything_else_is_refused(page: MetricsPage, request_: bytes, status: str) -> None:
    line, headers, _ = await asked(page, request_)
    assert line.split()[1] == status
    assert headers.get("allow") == ("get, head" if status == "405" else None)


async def test_what_comes_behind_a_request_is_not_read(page: MetricsPage) -> None:
    status, _, body = await asked(page, GET + GET + b"\0" * 10_000)
    assert status.split()[1] == "200"
    assert body.count(b"# TYPE actr_actor_info") == 1


async def test_one_client_too_many_is_told_so_and_the_next_is_served(page: MetricsPage) -> None:
    held = [await opened(page) for _ in range(MAX_CLIENTS)]
    status, _, _ = await asked(page, b"")
    assert status.split()[1] == "503"
    held[0][1].close()
    async with asyncio.timeout(30):
        while (await asked(page, GET))[0].split()[1] != "200":
            pass  # the place is free once its end is heard of
    for _, writer in held:
        writer.close()


async def test_who_says_nothing_is_cut_off(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.05)
    async with MetricsPage("127.0.0.1:0", node.view) as page, asyncio.timeout(30):
        reader, writer = await opened(page)
        writer.write(GET[:9])
        assert await reader.read() == b""
        writer.close()
        assert not page.clients


def broken() -> NodeView:
    raise RuntimeError("a view that cannot be had")


async def test_a_view_that_fails_ends_its_answer_and_nothing_else(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    views: list[Callable[[], NodeView]] = [node.view, broken]
    async with MetricsPage("127.0.0.1:0", lambda: views.pop()()) as page:
        assert (await asked(page, GET))[0].split()[1] == "500"
        assert (await asked(page, GET))[0].split()[1] == "200"


async def test_a_text_that_cannot_be_made_ends_its_answer_and_nothing_else(
    page: MetricsPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(module, "FAMILIES", (object(),))
        assert (await asked(page, GET))[0].split()[1] == "500"
    assert (await asked(page, GET))[0].split()[1] == "200"


async def test_leaving_cuts_those_off_who_are_there(node: Node) -> None:
    async with MetricsPage("127.0.0.1:0", node.view) as page:
        reader, writer = await opened(page)
        await asked(page, GET)  # who came before is there by then
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()


async def test_it_is_on_a_unix_socket_of_the_own_user_alone(node: Node, tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    async with MetricsPage(f"unix:{path}", node.view) as page:
        assert page.url == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(GET)
        assert b"actr_actor_info" in await reader.read()
        writer.close()
        with pytest.raises(BusyError, match=r"is the metrics socket of .*ACTR_METRICS__LISTEN"):
            async with MetricsPage(f"unix:{path}", node.view):
                pass
    assert not path.exists()


async def test_an_address_that_is_taken_is_told(page: MetricsPage, node: Node) -> None:
    address = page.url.removeprefix("http://").removesuffix("/metrics")
    with pytest.raises(BusyError, match=r"metrics\.listen.*in use by .*ACTR_METRICS__LISTEN"):
        async with MetricsPage(address, node.view):
            pass


async def test_an_address_of_another_machine_is_told(node: Node, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.listen = '192\.0\.2\.1:0'"):
        async with MetricsPage("192.0.2.1:0", node.view):
            pass
    with pytest.raises(ConfigError, match=r"metrics\.listen = .*none"):
        async with MetricsPage(f"unix:{tmp_path}/none/x.sock", node.view):
            pass


async def test_a_process_tells_them_where_its_configuration_says(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    told = replace(config("room", "ws://127.0.0.1:9/v1/ws"), metrics=f"unix:{path}")
    async with answering(System(told).attach(Quiet())):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(GET)
        assert b"actr_actor_info" in await reader.read()
        writer.close()
    assert not path.exists()


def test_who_asks_for_none_loads_nothing_for_them() -> None:
    program = (
        "import sys, actr_peer, actr_peer.node.node, actr_peer.node.process.serving\n"
        "print({'prometheus_client', 'h11'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
