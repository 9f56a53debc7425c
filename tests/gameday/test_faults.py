"""Each fault that is planted is found by its alert, which names who has it, and by no other one."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer import ActrId, Context, Node, NodeConfig, System, WireKind
from actr_peer.errors import PeerError
from actr_peer.node.process.metrics.page import MetricsPage
from actr_peer.protocol.webrtc.negotiation import IceServer
from actr_peer.wire.issuer.credentials import IdentityConfig
from lab.quiet import Quiet
from peer_kit.signaling import SignalingService
from peer_kit.signaling.running import RealIssuer
from peer_kit.webrtc.coturn import coturn
from signaling_kit.client import Client, serve
from signaling_kit.redis import RedisProcess
from tests.gameday.between import Between
from tests.gameday.watch import FASTER, Prometheus, free_port
from tests.skips import lacking

pytestmark = [
    pytest.mark.service,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("promtool") is None, reason=lacking("promtool")),
]

ROOM, GUEST = ActrId("acme", "room", "1"), ActrId("acme", "guest", "1")
WELL = 6.0
"""Seconds in which nothing may fire before the fault: three minutes of the rules."""
AFTER = 4.0
"""Likewise after the alert: no other one comes of the same fault."""
FOUND = 60.0
FLAP = 2.5
"""Seconds between two cuts; dialling anew takes up to one, which goes no faster here, and a link
that is without a wire for two is another alert's."""
SLOW = 3.0
"""Seconds that a handler takes: a minute and a half of the rules."""


class Room(Quiet):
    """Does what it is told to; what fails once is given up."""

    SAY = replace(ChatService.SAY, max_failures=1)
    METHODS = (SAY, *ChatService.METHODS[1:])

    def __init__(self) -> None:
        self.hangs = asyncio.Event()

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        match request.text:
            case "hang":
                await self.hangs.wait()
            case "slow":
                await asyncio.sleep(SLOW)
            case "fail":
                raise ValueError("a bug")
        return pb.SayReply(number=1)


class World:
    """Actors of one signaling service, and who watches them."""

    def __init__(self, signaling: str, folder: Path, stack: AsyncExitStack) -> None:
        self.signaling, self._folder, self._stack = signaling, folder, stack
        self._pages: list[str] = []

    async def actor(self, who: ActrId, workload: Quiet, **settings: Any) -> Node:
        config = {"prefer": (WireKind.WEBSOCKET,), "start_timeout": 60.0} | settings
        made = NodeConfig(id=who, signaling_url=self.signaling, **config)
        node = await self._stack.enter_async_context(System(made).attach(workload))
        page = MetricsPage("127.0.0.1:0", node.view)
        await self._stack.enter_async_context(page)
        self._pages.append(page.url.removeprefix("http://").removesuffix("/metrics"))
        return node

    async def watched(self) -> Prometheus:
        """Prometheus, which finds all well."""
        watch = Prometheus(self._folder / "prometheus", {"actr-peer": self._pages})
        await self._stack.enter_async_context(watch)
        assert await watch.first(WELL) == frozenset()
        return watch


@asynccontextmanager
async def world(folder: Path, **settings: str) -> AsyncIterator[World]:
    async with SignalingService(**settings) as service, AsyncExitStack() as stack:
        yield World(service.url, folder, stack)


async def found(watch: Prometheus, *named: tuple[str, object]) -> None:
    """Exactly these alerts come."""
    wanted = {(alert, str(who)) for alert, who in named}
    first = await watch.first(FOUND)
    assert first
    assert first <= wanted
    # of two that are named one may be later
    assert first == wanted or first | await watch.first(FOUND, but=first) == wanted
    assert await watch.all(AFTER) == wanted


@contextmanager
def going_on(*works: Awaitable[object]) -> Iterator[None]:
    """Work goes on while the block lasts."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


def say(guest: Node, text: str, room: ActrId = ROOM) -> Awaitable[pb.SayReply]:
    return ChatClient(guest.ref.to(room)).say(pb.SayRequest(text=text), timeout=FOUND * 2)


async def test_a_wire_that_flaps_is_named_at_both_of_its_ends(tmp_path: Path) -> None:
    port = free_port()

    async def far() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", port)

    async def cut(between: Between) -> None:
        while True:
            await asyncio.sleep(FLAP)
            between.cut()

    async with Between(far) as between, world(tmp_path) as here:
        advertised = f"127.0.0.1:{between.port}"
        await here.actor(ROOM, Room(), listen=f"127.0.0.1:{port}", advertise=advertised)
        guest = await here.actor(GUEST, Quiet(), listen=None)
        await say(guest, "hello")
        watch = await here.watched()
        with going_on(cut(between)):
            await found(watch, ("WireFlapping", ROOM), ("WireFlapping", GUEST))


async def test_a_full_mailbox_is_named_and_its_slow_handler_is_not(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.actor(ROOM, workload := Room(), mailbox_capacity=10)
        guest = await here.actor(GUEST, Quiet())
        await say(guest, "hello")
        watch = await here.watched()
        with going_on(*(say(guest, "hang") for _ in range(20))):
            await found(watch, ("MailboxFull", ROOM))
            workload.hangs.set()


async def test_a_slow_handler_is_named(tmp_path: Path) -> None:
    async def call(guest: Node) -> None:
        while True:
            await say(guest, "slow")

    async with world(tmp_path) as here:
        await here.actor(ROOM, Room())
        guest = await here.actor(GUEST, Quiet())
        await say(guest, "hello")
        watch = await here.watched()
        with going_on(call(guest)):
            await found(watch, ("SlowHandler", ROOM))


async def test_a_dead_letter_is_named(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.actor(ROOM, Room())
        guest = await here.actor(GUEST, Quiet())
        await say(guest, "hello")
        watch = await here.watched()
        with pytest.raises(PeerError):
            await say(guest, "fail")
        await found(watch, ("DeadLetters", ROOM))


async def test_a_certificate_that_nobody_renews_is_named(tmp_path: Path) -> None:
    life = str(900 // FASTER)
    async with RealIssuer(tmp_path / "issuer", PUBLISH_AHEAD="0", LIFE=life) as issuer:
        token = tmp_path / "token"
        token.write_text((await issuer.do("token", "new", "acme:room@1"))["token"])
        identity = IdentityConfig(issuer_url=issuer.url, join_token=token)
        keys = str(issuer.public / "keys.json")
        async with world(tmp_path, ISSUER_KEYS=keys) as here:
            await here.actor(ROOM, Room(), identity=identity)
            watch = await here.watched()
            await issuer.stop()
            assert await watch.first(FOUND) == {("CertificateEnding", str(ROOM))}


@pytest.mark.skipif(shutil.which("turnserver") is None, reason=lacking("turnserver"))
async def test_a_turn_server_that_refuses_is_named_by_who_asked(tmp_path: Path) -> None:
    rooms = [ActrId("acme", "room", str(number)) for number in range(3)]
    webrtc = {"prefer": (WireKind.WEBRTC,)}
    with coturn(tmp_path) as port:
        url = f"turn:127.0.0.1:{port}?transport=udp"
        wrong = IceServer(urls=(url,), username="user", credential="wrong")
        async with world(tmp_path) as here:
            for room in rooms:
                await here.actor(room, Room(), **webrtc)
            guest = await here.actor(GUEST, Quiet(), ice_servers=(wrong,), **webrtc)
            watch = await here.watched()
            for room in rooms:
                await say(guest, "hello", room)
            await found(watch, ("TurnRefusing", GUEST))


@pytest.mark.skipif(shutil.which("redis-server") is None, reason=lacking("redis-server"))
async def test_a_slow_redis_is_named_by_the_replica_that_asks_it(tmp_path: Path) -> None:
    with RedisProcess(tmp_path) as redis:
        path = redis.url.removeprefix("unix://")
        async with (
            Between(lambda: asyncio.open_unix_connection(path)) as slow,
            Between(lambda: asyncio.open_unix_connection(path)) as quick,
            AsyncExitStack() as stack,
        ):
            pages = []
            for between in (slow, quick):
                url = f"redis://127.0.0.1:{between.port}/0"
                replica = await stack.enter_async_context(serve(redis_url=url))
                pages.append(replica.url.removeprefix("ws://").removesuffix("/v1/ws"))
                client = await Client.registered_as(replica.url, f"a{between.port}")
                stack.push_async_callback(client.close)
            watch = Prometheus(tmp_path / "prometheus", {"actr-signaling": pages})
            await stack.enter_async_context(watch)
            assert await watch.first(WELL) == frozenset()
            slow.delay = 0.1
            await found(watch, ("RedisSlow", pages[0]))
