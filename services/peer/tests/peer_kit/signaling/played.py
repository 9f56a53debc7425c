"""A signaling service that a test plays, one step at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from actr import signaling_pb2 as pb
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling.presence import Load, Registration
from actr_peer.wire.signaling.client import SignalingClient
from peer_kit.fakes import ALICE, SignalingRecorder


class Played:
    """One connection as the test sees it: what came, and what to say."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket

    async def heard(self) -> pb.ClientMessage:
        """Wait for the next message; heartbeats are answered on the way."""
        while True:
            message = pb.ClientMessage.FromString(await self._socket.recv(decode=False))
            if message.WhichOneof("body") != "heartbeat":
                return message
            await self.say(reply_to=message.id, heartbeat_ack=pb.HeartbeatAck())

    async def beat(self) -> pb.ClientMessage:
        """Wait for the next message, of any kind."""
        return pb.ClientMessage.FromString(await self._socket.recv(decode=False))

    async def say(self, **message: Any) -> None:
        await self._socket.send(pb.ServerMessage(**message).SerializeToString())

    async def say_raw(self, data: str | bytes) -> None:
        await self._socket.send(data)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._socket.close(code, reason)

    def drop(self) -> None:
        self._socket.transport.abort()

    async def closed(self) -> int | None:
        with suppress(ConnectionClosed):
            while True:
                await self._socket.recv()
        return self._socket.close_code

    async def greet(self, **hello: Any) -> pb.ClientMessage:
        await self.say(hello=pb.ServerHello(nonce=b"n" * 32, server_id="played", **hello))
        return await self.heard()

    async def register(self, heartbeat: float = 60, **more: Any) -> pb.ClientMessage:
        """Take the client in; return its register message."""
        proof = await self.greet()
        await self.say(reply_to=proof.id, authenticated=pb.Authenticated())
        register = await self.heard()
        assert register.WhichOneof("body") == "register"
        registered = pb.Registered(epoch=1, heartbeat_interval_ms=round(heartbeat * 1000), **more)
        await self.say(reply_to=register.id, registered=registered)
        return register


class Service:
    """The service: connections wait in a queue for the test to play them."""

    def __init__(self) -> None:
        self.url = ""
        self.count = 0
        self._arrived: asyncio.Queue[Played] = asyncio.Queue()

    async def __call__(self, socket: ServerConnection) -> None:
        self.count += 1
        self._arrived.put_nowait(Played(socket))
        await socket.wait_closed()

    async def next(self) -> Played:
        return await self._arrived.get()


def make_client(
    service: Service,
    sink: SignalingRecorder | None = None,
    *,
    address: Callable[[str], str] = lambda local_host: "",
    **more: Any,
) -> SignalingClient:
    sink = sink or SignalingRecorder()
    return SignalingClient(
        url=service.url,
        registration=lambda host: Registration(id=ALICE, incarnation=7, ws_address=address(host)),
        secret=None,
        relayed=sink.relayed,
        sink=sink,
        load=lambda: Load(3, 0.5),
        **more,
    )


@asynccontextmanager
async def started(
    service: Service, sink: SignalingRecorder | None = None, **more: Any
) -> AsyncIterator[tuple[SignalingClient, Played]]:
    """A registered client and its connection; the test plays on, the end is short."""
    client = make_client(service, sink)
    entering = asyncio.create_task(client.__aenter__())
    played = await service.next()
    await played.register(**more)
    await entering
    try:
        yield client, played
    finally:
        await client.__aexit__(None, None, None)


def presence(actr_id: ActrId, **more: Any) -> pb.Presence:
    return pb.Presence(id=actr_id.to_message(), **more)
