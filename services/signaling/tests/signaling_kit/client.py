"""What the tests of this service share: a replica in this process, a client that speaks bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from actr import envelope_pb2
from actr import signaling_pb2 as pb
from actr_signaling.protocol.client.proofs import proof
from actr_signaling.protocol.identity import ActrId
from actr_signaling.settings import Settings
from actr_signaling.tasks import Tasks
from actr_signaling.web.server import Replica

if TYPE_CHECKING:
    from signaling_kit.certified import Holder

PATIENCE = 60.0
"""Seconds after which a test gives up waiting for an event: a busy machine takes its time."""


@asynccontextmanager
async def serve(**settings: Any) -> AsyncIterator[Replica]:
    """A replica on a free port of this machine, until the block ends; ready to register."""
    ready = asyncio.Event()
    values = {"listen": "127.0.0.1:0", "drain": 0.5, **settings}
    replica = Replica(Settings(**values), lambda url: ready.set())
    async with Tasks("replica") as tasks:
        finished = asyncio.Event()

        async def run() -> None:
            try:
                await replica.serve()
            finally:
                finished.set()

        tasks.start("serve", run())
        async with asyncio.timeout(PATIENCE):
            await ready.wait()
        url = replica.url  # afterwards its socket is closed
        try:
            yield replica
        finally:
            replica.leave()
            async with asyncio.timeout(PATIENCE):
                await finished.wait()
            abort_clients(url)


_open: dict[str, list[Client]] = {}
"""By the address of their service; what a test forgets must not warn in somebody else's."""


def abort_clients(url: str) -> None:
    """Let go of all whose service has ended, those that a test did not close among them."""
    for client in _open.pop(url, ()):
        client.abort()


class Deployment:
    """One or two replicas, and the clients that a test opened on them."""

    def __init__(self, replicas: list[Replica]) -> None:
        self.replicas = replicas
        self._clients: list[Client] = []

    def url(self, place: int = 0) -> str:
        """Of the replica for this place: neighbours get different ones, where there are two."""
        return self.replicas[place % len(self.replicas)].url

    async def client(self, place: int = 0, **options: Any) -> Client:
        client = await Client.open(self.url(place), **options)
        self._clients.append(client)
        return client

    async def registered(self, text: str, place: int = 0, **registration: Any) -> Client:
        client = await self.client(place)
        await client.authenticate(text)
        answer = await client.register(**registration)
        assert answer.HasField("registered"), answer
        return client

    async def pair(self) -> tuple[Client, Client]:
        """``a`` and ``b``, on different replicas where there are two, each seeing the other."""
        a = await self.registered("a", 0)
        b = await self.registered("b", 1)
        for client, other in ((a, "b"), (b, "a")):
            await client.sees(other)
        return a, b

    async def close_clients(self) -> None:
        for client in self._clients:
            client.abort()


def actor(text: str) -> ActrId:
    """``name`` or ``name@instance`` or the whole id; the rest is filled in."""
    if ":" not in text:
        name, _, instance = text.partition("@")
        text = f"acme:{name}@{instance or '1'}:default"
    return ActrId.parse(text)


class Client:
    """One connection to a signaling service; answers are matched, the rest is kept in order."""

    def __init__(self, socket: ClientConnection, hello: pb.ServerHello) -> None:
        self.socket = socket
        self.hello = hello
        self.id: ActrId | None = None
        self.registered: pb.Registered | None = None
        self._next = 0
        self.kept: deque[pb.ServerMessage] = deque()

    @classmethod
    async def open(cls, url: str, **options: Any) -> Self:
        socket = await connect(url, compression=None, max_size=2**24, **options)
        data = await socket.recv()
        assert isinstance(data, bytes)
        client = cls(socket, pb.ServerMessage.FromString(data).hello)
        _open.setdefault(url, []).append(client)
        return client

    @classmethod
    async def certified(cls, url: str, holder: Holder, **registration: Any) -> Self:
        """Open, prove a certificate and register what its holder has signed."""
        client = await cls.open(url)
        answer = await client.prove(holder)
        assert answer.HasField("authenticated"), answer
        answer = await client.ask(register=holder.register(**registration))
        assert answer.HasField("registered"), answer
        client.registered = answer.registered
        return client

    @classmethod
    async def open_raw(cls, url: str, **options: Any) -> Self:
        """Open and read nothing: the service may refuse."""
        socket = await connect(url, compression=None, max_size=2**24, **options)
        client = cls(socket, pb.ServerHello())
        _open.setdefault(url, []).append(client)
        return client

    @classmethod
    async def registered_as(cls, url: str, text: str, **registration: Any) -> Self:
        """Open, prove and register, without a secret."""
        client = await cls.open(url)
        await client.authenticate(text)
        await client.register(**registration)
        return client

    async def authenticate(self, text: str, secret: bytes = b"") -> pb.ServerMessage:
        self.id = actor(text)
        mac = b""
        if secret:
            mac = proof(secret, server_id=self.hello.server_id, nonce=self.hello.nonce, id=self.id)
        return await self.ask(authenticate=pb.Authenticate(id=self.id.to_wire(), mac=mac))

    async def prove(self, holder: Holder, **changed: Any) -> pb.ServerMessage:
        """Authenticate with a certificate."""
        self.id = holder.id
        proof = holder.authenticate(self.hello.server_id, self.hello.nonce, **changed)
        return await self.ask(authenticate=proof)

    async def register(self, **registration: Any) -> pb.ServerMessage:
        assert self.id is not None
        answer = await self.ask(register=pb.Register(id=self.id.to_wire(), **registration))
        self.registered = answer.registered
        return answer

    async def send(self, **body: Any) -> int:
        """Send one message; returns its number."""
        self._next += 1
        message = pb.ClientMessage(id=self._next, **body)
        await self.socket.send(message.SerializeToString())
        return self._next

    async def ask(self, **body: Any) -> pb.ServerMessage:
        """Send one message and wait for what answers it."""
        number = await self.send(**body)
        return await self.until(lambda message: message.reply_to == number)

    async def relay(self, to: str, text: str = "", **negotiate: Any) -> pb.ServerMessage:
        """Relay a candidate with ``text`` in it, or the given step; returns the answer."""
        return await self.ask(relay=relay_to(to, text, **negotiate))

    async def subscribe(self, actr_type: str = "") -> pb.PresenceSnapshot:
        answer = await self.ask(subscribe=pb.Subscribe(actr_type=actr_type))
        assert answer.HasField("snapshot"), answer
        return answer.snapshot

    async def until(self, wanted: Callable[[pb.ServerMessage], bool]) -> pb.ServerMessage:
        """The first message, kept or new, that is wanted; others stay, in order."""
        for message in self.kept:
            if wanted(message):
                self.kept.remove(message)
                return message
        async with asyncio.timeout(PATIENCE):
            while True:
                data = await self.socket.recv()
                assert isinstance(data, bytes)
                message = pb.ServerMessage.FromString(data)
                if wanted(message):
                    return message
                self.kept.append(message)

    async def next(self, body: str) -> Any:
        """The next message with this body; returns the body."""
        message = await self.until(lambda message: message.WhichOneof("body") == body)
        return getattr(message, body)

    async def event(self, text: str, kind: str) -> pb.PresenceEvent:
        """The next presence event of one actor and one kind."""
        wanted = actor(text).to_wire()

        def fits(message: pb.ServerMessage) -> bool:
            event = message.presence
            return (
                message.HasField("presence")
                and event.presence.id == wanted
                and event.kind == pb.PresenceEvent.Kind.Value(kind)
            )

        return (await self.until(fits)).presence

    async def sees(self, text: str) -> None:
        """Subscribe, and return when ``text`` is in the snapshot or joins."""
        snapshot = await self.subscribe()
        if str(actor(text)) not in texts(snapshot.present):
            await self.event(text, "JOIN")

    async def closed(self) -> int | None:
        """Read to the end; the close code."""
        async with asyncio.timeout(PATIENCE):
            try:
                while True:
                    data = await self.socket.recv()
                    assert isinstance(data, bytes)
                    self.kept.append(pb.ServerMessage.FromString(data))
            except ConnectionClosed:
                await self.socket.wait_closed()
                return self.socket.close_code

    async def close(self) -> None:
        await self.socket.close()

    def abort(self) -> None:
        """Vanish without a word."""
        self.socket.transport.abort()


def relay_to(to: str, text: str = "", **negotiate: Any) -> pb.Relay:
    if not negotiate:
        negotiate = {"candidate": pb.IceCandidate(candidate=text)}
    step = pb.Negotiate(connection_id="c1", exchange=1, **negotiate)
    return pb.Relay(to=actor(to).to_wire(), negotiate=step)


def text_of(wire: envelope_pb2.ActrId) -> str:
    return f"{wire.manufacturer}:{wire.name}@{wire.instance}:{wire.realm}"


def texts(present: Any) -> set[str]:
    """Ids of presences, short."""
    return {text_of(one.id) for one in present}
