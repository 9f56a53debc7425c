from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from actr_signaling.protocol.websocket.upgrade import Upgrade
from actr_signaling.web.door import doors, guard, page
from actr_signaling.web.door.doors import Doors, network_of
from actr_signaling.web.door.guard import guarded
from actr_signaling.web.turns import Turns, Worker
from signaling_kit.client import PATIENCE, Client, serve


def test_doors_count_in_and_out() -> None:
    doors = Doors(max_connections=3, max_per_address=2)
    assert doors.enter("x", 0.0)
    assert doors.enter("x", 0.0)
    assert not doors.enter("x", 0.0)
    assert doors.enter("y", 0.0)
    assert not doors.enter("z", 0.0)
    doors.leave("x")
    assert doors.enter("z", 0.0)


def test_doors_let_an_address_in_at_its_rate() -> None:
    doors = Doors(rate_per_address=1, burst_per_address=2)
    assert [doors.enter("x", 0.0) for _ in range(3)] == [True, True, False]
    assert doors.enter("y", 0.0)
    assert doors.enter("x", 1.0)


def test_doors_remember_a_bounded_number_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actr_signaling.web.door.doors._MAX_ADDRESSES", 2)
    doors = Doors(rate_per_address=1, burst_per_address=1)
    for address in ("x", "y", "z"):
        assert doors.enter(address, 0.0)
    assert not doors.enter("z", 0.0)
    assert doors.enter("x", 0.0)


def test_when_places_are_scarce_an_address_with_many_gets_no_more() -> None:
    made = Doors(max_connections=128, max_per_address=128, rate_per_address=10**9)
    for number in range(96):
        assert made.enter("many" if number < 90 else f"other {number}", 0.0)
    assert not made.enter("many", 0.0)
    assert made.enter("new", 0.0)


def test_of_too_many_that_say_nothing_the_oldest_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "MAX_SILENT_PER_ADDRESS", 2)
    made, cut = Doors(), list[int]()
    for number in range(4):
        made.listen("x", number, lambda number=number: cut.append(number))  # type: ignore[misc]
    assert cut == [0, 1]
    made.heard("x", 2)
    made.heard("x", 2)
    made.listen("x", 4, lambda: cut.append(4))
    assert cut == [0, 1]


def test_of_too_many_over_all_the_address_with_most_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "MAX_SILENT", 3)
    made, cut = Doors(), list[str]()
    for name in ("one", "many 1", "many 2", "other"):
        made.listen(name.split()[0], name, lambda name=name: cut.append(name))  # type: ignore[misc]
    assert cut == ["many 1"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::9", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("", ""),
    ],
)
def test_an_address_of_ipv6_is_its_network(host: str, expected: str) -> None:
    assert network_of(host) == expected


async def open_raw(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = url.removeprefix("ws://").partition("/")[0].partition(":")
    return await asyncio.open_connection(host, int(port))


async def answer_to(url: str, data: bytes) -> bytes:
    """All that is answered until the service ends the connection."""
    reader, writer = await open_raw(url)
    writer.write(data)
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(PATIENCE):
            while part := await reader.read(1 << 16):
                answer += part
    writer.close()
    return answer


UPGRADE = (
    b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: %b\r\n%b\r\n"
)


@pytest.mark.service
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nhost:"], ids=["nothing", "half a head"])
async def test_who_sends_no_whole_request_head_is_told_so_and_cut(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(guard, "REQUEST_SECONDS", 0.2)
    async with serve() as replica:
        kept = await Client.registered_as(replica.url, "a")
        assert (await answer_to(replica.url, sent)).startswith(b"HTTP/1.1 408 ")
        assert (await kept.subscribe()).version  # a WebSocket is not under that time-out


@pytest.mark.service
async def test_a_body_that_trickles_is_as_half_a_head_and_no_page_is_made_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "REQUEST_SECONDS", 0.2)
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 8000\r\n\r\nx"
    async with serve() as replica:
        answer = await answer_to(replica.url, head)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"ok"' not in answer


@pytest.mark.service
@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (UPGRADE % (b"13", b"X: %b\r\n" % (b"x" * 9_000)), b"431"),
        (UPGRADE % (b"13", b"X: 1\r\n" * 200), b"431"),
        (UPGRADE % (b"13", b"X: %b" % (b"x" * 300_000)), b"431"),
        (b"GET /healthz HTTP/1.1\r\nX: %b\r\n\r\n" % (b"x" * 9_000), b"431"),
        (UPGRADE % (b"13", b"") + bytes(20_000), b"413"),
        (UPGRADE % (b"12", b""), b"426"),
        (b"GET /v1/ws HTTP/1.1\r\nHost: x\r\n\r\n", b"426"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", b"400"),
        (b"noise\r\n\r\n", b"400"),
        (b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", b"405"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n", b"413"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
    ],
    ids=[
        "an upgrade with a head over 8 KiB",
        "an upgrade with 200 headers",
        "an upgrade without an end",
        "a page with a head over 8 KiB",
        "an upgrade with 20 KB of frames before its answer",
        "another version",
        "no upgrade",
        "no host",
        "noise",
        "another method",
        "a body over 8 KiB",
        "a body in chunks",
    ],
)
async def test_a_request_that_is_none_is_answered_and_its_place_comes_free(
    request_head: bytes, status: bytes
) -> None:
    async with serve(max_connections=1) as replica:
        answer = await answer_to(replica.url, request_head)
        assert answer.startswith(b"HTTP/1.1 " + status)
        if status == b"426":
            assert b"sec-websocket-version: 13" in answer.lower()
        async with asyncio.timeout(PATIENCE):
            client = await until_let_in(replica.url)
        await client.close()


async def until_let_in(url: str) -> Client:
    """The place of a connection comes free a moment after its end is seen here."""
    while True:
        try:
            return await Client.open(url)
        except InvalidStatus:
            await asyncio.sleep(0)


@pytest.mark.service
async def test_a_connection_has_one_request() -> None:
    page = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serve() as replica:
        answer = await answer_to(replica.url, page * 3)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"connection: close" in answer.lower()


@pytest.mark.service
async def test_connections_over_the_limit_are_turned_away_and_the_place_comes_free() -> None:
    async with serve(max_connections=2) as replica:
        first = await Client.open(replica.url)
        second = await Client.open(replica.url)
        with pytest.raises(InvalidStatus) as refused:
            await connect(replica.url)
        assert refused.value.response.status_code == 503
        await first.close()
        third = await Client.open(replica.url)
        assert third.hello.nonce
        for client in (second, third):
            await client.close()


class Later(Turns):
    """Lets all wait until the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: asyncio.Queue[Worker] = asyncio.Queue()

    def enter(self, worker: Worker) -> bool:
        self.waiting.put_nowait(worker)
        return False


class Connections(set[object]):
    """Of a server; tells of those that leave it."""

    def __init__(self) -> None:
        self.left: asyncio.Queue[object] = asyncio.Queue()

    def discard(self, one: object) -> None:
        super().discard(one)
        self.left.put_nowait(one)


async def test_who_has_given_up_while_its_request_waited_is_not_served() -> None:
    # 1. Two requests wait for their turn.  2. One of the two ends its connection.  3. The turns
    # come: the other alone is greeted, and the place of the first is free again.
    turns, greeted, doors = Later(), list[Upgrade](), Doors(max_connections=2)
    make = guarded(doors, turns, lambda _, upgrade: greeted.append(upgrade))
    server_state = SimpleNamespace(connections=Connections(), tasks=set())
    server = await asyncio.get_running_loop().create_server(
        lambda: make(config=None, server_state=server_state, app_state={}), "127.0.0.1", 0
    )
    host, port = server.sockets[0].getsockname()
    async with server, asyncio.timeout(PATIENCE):
        _, gone = await asyncio.open_connection(host, port)
        gone.write(UPGRADE % (b"13", b"Origin: gone\r\n"))
        first = await turns.waiting.get()
        _, patient = await asyncio.open_connection(host, port)
        patient.write(UPGRADE % (b"13", b"Origin: patient\r\n"))
        second = await turns.waiting.get()
        gone.close()
        assert await server_state.connections.left.get() is first
        for worker in (first, second):
            worker.work(0.0)
        assert [upgrade.origin for upgrade in greeted] == ["patient"]
        assert doors.enter("another", 0.0)
        assert not doors.enter("another", 0.0)
        patient.close()
        while server_state.connections:
            await server_state.connections.left.get()


@pytest.mark.service
async def test_who_waits_for_a_word_before_its_body_gets_it_once() -> None:
    async with serve() as replica:
        reader, writer = await open_raw(replica.url)
        writer.write(
            b"POST /healthz HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
            b"content-length: 3\r\n\r\n"
        )
        async with asyncio.timeout(PATIENCE):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            for byte in (b"a", b"b", b"c"):
                writer.write(byte)
                await writer.drain()
            assert (await reader.read()).startswith(b"HTTP/1.1 405 ")
        writer.close()


@pytest.mark.service
async def test_a_page_is_shown_to_who_says_that_it_says_no_more() -> None:
    async with serve() as replica:
        for _ in range(20):
            reader, writer = await open_raw(replica.url)
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            writer.write_eof()
            async with asyncio.timeout(PATIENCE):
                assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            writer.close()


@pytest.mark.parametrize("reads", [False, True], ids=["reads nothing", "reads all"])
async def test_a_page_that_is_not_read_is_let_go(
    monkeypatch: pytest.MonkeyPatch, *, reads: bool
) -> None:
    # The application has a page that no buffer on the way takes.
    monkeypatch.setattr(page, "STALL_SECONDS", 0.2)
    whole = 64 * 1024 * 1024

    async def application(scope: object, receive: object, send: Any) -> None:
        del scope, receive
        length = (b"content-length", b"%d" % whole)
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": bytes(whole)})

    config = uvicorn.Config(application, http="h11", ws="none", lifespan="off", log_config=None)
    config.load()
    state, doors, connections = uvicorn.server.ServerState(), Doors(), Connections()
    state.connections = connections  # type: ignore[assignment]
    make = guarded(doors, Turns())
    server = await asyncio.get_running_loop().create_server(
        lambda: make(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    host, port = server.sockets[0].getsockname()
    async with server, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        if reads:
            assert len(await reader.read()) > whole
        else:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
        while not isinstance(await connections.left.get(), page.Page):
            pass
        assert not doors._total
        writer.transport.abort()


@pytest.mark.parametrize(
    ("request_", "goes_on"),
    [(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", True), (UPGRADE % (b"13", b""), False)],
    ids=["a page", "a WebSocket"],
)
async def test_who_says_no_more_while_it_waits_may_still_read_a_page(
    request_: bytes, *, goes_on: bool
) -> None:
    turns, state = Later(), SimpleNamespace(connections=Connections(), tasks=set())
    make = guarded(Doors(), turns, lambda *_: None)
    server = await asyncio.get_running_loop().create_server(
        lambda: make(config=None, server_state=state, app_state={}), "127.0.0.1", 0
    )
    host, port = server.sockets[0].getsockname()
    async with server, asyncio.timeout(PATIENCE):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(request_)
        waiting = await turns.waiting.get()
        assert isinstance(waiting, guard.Guard)
        assert waiting.eof_received() is goes_on
        waiting.fail()
        assert await state.connections.left.get() is waiting
        writer.close()
