"""Signaling as a side of the abuse test: the service, and what fifty honest peers do with it."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from tempfile import TemporaryDirectory
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from actr import envelope_pb2
from actr import signaling_pb2 as pb
from lab.processes import child
from tests.abuse import signaling_crowds
from tests.abuse.side import MEASURED, Act, Service, Side, prefer
from tests.abuse.signaling_abuses import ABUSES

OFFER_BYTES = 1_500
_hosts = itertools.cycle(range(1, 255))
"""Last numbers of the addresses of honest clients: each has one, as on machines of their own."""
NEWCOMERS = 5
"""Of the honest clients: they come, prove who they are, and go, again and again."""


@asynccontextmanager
async def serve() -> AsyncIterator[Service]:
    """The service in its own process, with its defaults; on a Redis of its own if ``STORE=redis``.

    In that form honest clients and abusers share one of two replicas, and the other one hears of
    all that happens.
    """
    env = {"ACTR_SIGNALING__LISTEN": "127.0.0.1:0", "ACTR_SIGNALING__LOG_LEVEL": "error"}
    async with AsyncExitStack() as stack:
        if os.environ.get("STORE") == "redis":
            env["ACTR_SIGNALING__REDIS_URL"] = await stack.enter_async_context(redis())
            other = await stack.enter_async_context(child(["actr_signaling"], env=env))
            await other.line()
        process = await stack.enter_async_context(child(["actr_signaling"], env=env))
        yield Service(address=(await process.line())["url"], pid=process.pid)


@asynccontextmanager
async def redis() -> AsyncIterator[str]:
    """A Redis that nobody else uses; yields its URL."""
    with TemporaryDirectory() as directory:
        arguments = ["--port", "0", "--unixsocket", f"{directory}/s", "--dir", directory]
        process = await asyncio.create_subprocess_exec(
            "redis-server", *arguments, "--save", "", stdout=asyncio.subprocess.PIPE
        )
        prefer(process.pid, MEASURED)
        assert process.stdout is not None
        try:
            while b"eady to accept" not in (line := await process.stdout.readline()):
                if not line:
                    raise RuntimeError("redis-server ends at its start")
            yield f"unix://{directory}/s"
        finally:
            process.terminate()
            await process.wait()


class HonestPeer(WSListener):
    """One peer; it watches all others, and each of its acts is one request and its answer."""

    def __init__(self, url: str, name: str) -> None:
        self._source = f"127.0.1.{next(_hosts)}"
        self.id = envelope_pb2.ActrId(
            manufacturer="honest", name="peer", instance=name, realm="default"
        )
        self._url = url
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[pb.ServerMessage]] = {}
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.BINARY:
            message = pb.ServerMessage.FromString(frame.get_payload_as_bytes())
            key = 0 if message.HasField("hello") else message.reply_to
            future = self._waiting.pop(key, None)
            if future is not None and not future.done():
                future.set_result(message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._transport = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionError("the connection was cut"))
        self._waiting.clear()

    async def enter(self) -> None:
        """Connect and prove."""
        hello = self._waiting[0] = asyncio.get_running_loop().create_future()
        await ws_connect(lambda: self, self._url, local_addr=(self._source, 0))
        await hello
        await self.ask("authenticated", authenticate=pb.Authenticate(id=self.id))

    async def register(self) -> None:
        await self.enter()
        await self.ask("registered", register=pb.Register(id=self.id))
        await self.ask("snapshot", subscribe=pb.Subscribe())

    async def ask(self, expected: str, **body: Any) -> None:
        if self._transport is None:
            raise ConnectionError("not connected")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        message = pb.ClientMessage(id=number, **body)
        self._transport.send(WSMsgType.BINARY, message.SerializeToString())
        got = await answer
        if got.WhichOneof("body") != expected:
            raise RuntimeError(f"{expected} was expected: {got}")

    async def leave(self) -> None:
        if self._transport is not None:
            self._transport.disconnect()

    @property
    def is_connected(self) -> bool:
        return self._transport is not None


def acting(peer: HonestPeer, other: HonestPeer) -> Act:
    """Heartbeats, relays, discoveries, snapshots in turn."""
    offer = pb.Negotiate(connection_id="c", offer=pb.SessionDescription(sdp="x" * OFFER_BYTES))
    turn: Iterator[tuple[str, dict[str, Any]]] = itertools.cycle(
        [
            ("heartbeat_ack", {"heartbeat": pb.Heartbeat()}),
            ("receipt", {"relay": pb.Relay(to=other.id, negotiate=offer)}),
            ("discovered", {"discover": pb.Discover(actr_type="honest:peer")}),
            ("receipt", {"relay": pb.Relay(to=other.id, negotiate=offer)}),
            ("snapshot", {"subscribe": pb.Subscribe()}),
        ]
    )

    async def act() -> None:
        if not peer.is_connected:
            await peer.register()
        expected, body = next(turn)
        await peer.ask(expected, **body)

    return act


def coming_and_going(url: str, name: str) -> Act:
    peer = HonestPeer(url, name)

    async def act() -> None:
        try:
            await peer.enter()
        finally:
            await peer.leave()

    return act


@asynccontextmanager
async def crowd(url: str, count: int) -> AsyncIterator[Sequence[Act]]:
    peers = [HonestPeer(url, f"p{number}") for number in range(count - NEWCOMERS)]
    for peer in peers:
        await peer.register()
    acts = [acting(peer, peers[place - 1]) for place, peer in enumerate(peers)]
    acts += [coming_and_going(url, f"n{number}") for number in range(NEWCOMERS)]
    yield acts
    for peer in peers:
        await peer.leave()


SIDE = Side(serve=serve, crowd=crowd, abuses={**ABUSES, **signaling_crowds.ABUSES})
