"""A client that was written from the documents alone: docs/protocol.md and the pages below it.

It imports nothing of the runtime. The messages are those of ``proto/actr/envelope.proto``; frames,
handshake and session are made here by hand, as a client in another language would make them. It
speaks on one WebSocket, sends nothing that needs fragments, and gives up with its wire.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import os
import struct
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect

from actr import envelope_pb2 as pb

HANDSHAKE = 255
CHANNEL_OF_WORDS, CHANNEL_OF_PINGS = 1, 3
DATA, REPLY, ACK, HELLO, PING, PONG, BYE, ASK = 0x01, 0x09, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07
FRAGMENT = 0x80
RPC_RELIABLE, RPC_SIGNAL, STREAM_RELIABLE, STREAM_LATENCY_FIRST, REPLY_LANE = range(5)
LANES = 6
LONGEST = 16 * 1024 * 1024
WINDOW, WINDOW_BYTES = 64, 1024 * 1024


class RefusedError(Exception):
    """The far side said no: with a code of gRPC's, and why."""

    def __init__(self, error: pb.RpcError) -> None:
        super().__init__(error.message)
        self.code = error.code


@dataclass
class Channel:
    """One stream: what came, and what may be sent."""

    chunks: asyncio.Queue[pb.StreamChunk] = field(default_factory=asyncio.Queue)
    items: int = 0
    size: int = 0
    is_stopped: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def may_send(self) -> bool:
        return self.items > 0 and self.size > 0


class Session:
    """Frames out and in, on one wire."""

    def __init__(self, wire: ClientConnection) -> None:
        self.replies: dict[str, asyncio.Future[pb.RpcEnvelope]] = {}
        self.channels: dict[str, Channel] = defaultdict(Channel)
        self.remote_is_known = asyncio.Event()
        self._wire = wire
        self._incarnation = int.from_bytes(os.urandom(8), "big") | 1
        self._remote = 0
        self._next = [itertools.count() for _ in range(LANES)]
        self._received = [0] * LANES
        self._parts: dict[int, list[bytes]] = defaultdict(list)

    # Out

    async def greet(self) -> None:
        hello = struct.pack("!BBQQ", HELLO, 2, self._incarnation, self._remote)
        hello += struct.pack("!6QI", *self._received, LONGEST)
        await self.write(CHANNEL_OF_WORDS, hello)

    async def send(self, lane: int, message: bytes) -> None:
        """One whole message on a lane; those of reply lanes are REPLY frames."""
        kind, channel = (REPLY, lane - REPLY_LANE) if lane >= REPLY_LANE else (DATA, lane)
        frame = struct.pack("!BQI", kind, next(self._next[lane]), len(message)) + message
        await self.write(channel, frame)

    async def write(self, channel: int, data: bytes) -> None:
        await self._wire.send(struct.pack("!BI", channel, len(data)) + data)

    # In

    async def read(self) -> None:
        """Hear what comes, until the wire ends."""
        async for message in self._wire:
            assert isinstance(message, bytes)
            channel, length = struct.unpack_from("!BI", message)
            assert length == len(message) - 5
            touched = set()
            rest = message[5:]
            while rest:
                lane, rest = await self._frame(channel, rest)
                touched.add(lane)
            for lane in touched & {0, 1, 2, 4, 5}:
                mark = self._received[lane]
                ack = struct.pack("!BBQQHI", ACK, lane, mark, mark, 1024, 4 * 1024 * 1024)
                await self.write(CHANNEL_OF_WORDS, ack)

    async def _frame(self, channel: int, data: bytes) -> tuple[int, bytes]:
        """One frame; returns the lane of which a message came, else -1, and what is behind it."""
        kind = data[0]
        match kind & ~FRAGMENT:
            case 0x01 | 0x09:
                return self._message(channel, kind, data)
            case 0x02:
                return -1, data[24:]
            case 0x03:
                _, version, remote, known = struct.unpack_from("!BBQQ", data)
                assert version == 2
                if self._remote != remote:
                    assert known in (0, self._incarnation)
                    self._remote = remote
                    await self.greet()
                    self.remote_is_known.set()
                return -1, data[70:]
            case 0x04:
                await self.write(CHANNEL_OF_PINGS, bytes([PONG]) + data[1:5])
                return -1, data[5:]
            case 0x05:
                return -1, data[5:]
            case 0x06:
                raise ConnectionError(f"BYE, reason {data[1]}")
            case 0x07:
                return data[1], data[2:]
        raise AssertionError(f"a frame of kind {kind}")

    def _message(self, channel: int, kind: int, data: bytes) -> tuple[int, bytes]:
        lane = channel + REPLY_LANE if kind & ~FRAGMENT == REPLY else channel
        _, number, length = struct.unpack_from("!BQI", data)
        start, count = 13, 1
        if kind & FRAGMENT:
            _, count = struct.unpack_from("!HH", data, start)
            start += 4
        payload, rest = data[start : start + length], data[start + length :]
        if lane != STREAM_LATENCY_FIRST:
            if number != self._received[lane]:  # it came before: one wire brings no gaps
                return lane, rest
            self._received[lane] = number + 1
        self._parts[lane].append(payload)
        if len(self._parts[lane]) == count:
            self._hear(lane, b"".join(self._parts.pop(lane)))
        return lane, rest

    def _hear(self, lane: int, message: bytes) -> None:
        if lane in (STREAM_RELIABLE, STREAM_LATENCY_FIRST):
            chunk = pb.StreamChunk.FromString(message)
            channel = self.channels[chunk.channel_id]
            match chunk.WhichOneof("control"):
                case "credit":
                    channel.items += chunk.credit.messages
                    channel.size += chunk.credit.bytes
                case "cancel":
                    channel.is_stopped = True
                case _:
                    channel.chunks.put_nowait(chunk)
            channel.changed.set()
            return
        envelope = pb.RpcEnvelope.FromString(message)
        waiting = self.replies.pop(envelope.request_id, None)
        if envelope.direction == pb.RESPONSE and waiting is not None:
            waiting.set_result(envelope)


class Client:
    """Calls and streams over a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def call(self, route: str, payload: bytes) -> bytes:
        """One request, one reply."""
        request = pb.RpcEnvelope(route_key=route, payload=payload, timeout_ms=10_000)
        return await self._answer(await self._ask(request))

    async def server_stream(self, route: str, payload: bytes) -> AsyncIterator[bytes]:
        """One request, many replies; credit is granted for each that was taken."""
        name = await self._open(route, payload, WINDOW, WINDOW_BYTES)
        channel = self._session.channels[name]
        due = 0
        while True:
            chunk = await channel.chunks.get()
            match chunk.WhichOneof("control"):
                case "end":
                    assert chunk.sequence == due, "items are missing"
                    return
                case "error":
                    raise RefusedError(chunk.error)
            assert chunk.sequence == due, "items are missing"
            due += 1
            yield chunk.data
            credit = pb.StreamCredit(messages=1, bytes=chunk.ByteSize())
            await self._say(pb.StreamChunk(channel_id=name, credit=credit))

    async def client_stream(self, route: str, pieces: Iterable[bytes]) -> bytes:
        """Many requests, one reply; nothing is sent before the callee grants it."""
        name = await self._open(route, b"", 0, 0)
        channel = self._session.channels[name]
        answer = asyncio.ensure_future(self._answer(name))
        for sent, piece in enumerate((*pieces, None)):
            while not channel.may_send() and not channel.is_stopped and not answer.done():
                channel.changed.clear()
                await asyncio.wait(
                    [answer, asyncio.ensure_future(channel.changed.wait())],
                    return_when=asyncio.FIRST_COMPLETED,
                )
            if channel.is_stopped or answer.done():
                break
            if piece is None:
                await self._say(pb.StreamChunk(channel_id=name, sequence=sent, end=True))
                break
            chunk = pb.StreamChunk(channel_id=name, sequence=sent, data=piece)
            channel.items -= 1
            channel.size -= chunk.ByteSize()
            await self._say(chunk)
        return await answer

    async def cancel(self, request_id: str) -> None:
        """Give up a call or a stream: on the reply lane, and behind the request."""
        word = pb.RpcEnvelope(request_id=request_id, direction=pb.CANCEL).SerializeToString()
        await self._session.send(REPLY_LANE, word)
        await self._session.send(RPC_RELIABLE, word)

    async def _open(self, route: str, payload: bytes, items: int, size: int) -> str:
        name = str(uuid.uuid4())
        stream = pb.StreamOpen(channel_id=name, credit_messages=items, credit_bytes=size)
        request = pb.RpcEnvelope(request_id=name, route_key=route, payload=payload, stream=stream)
        return await self._ask(request)

    async def _ask(self, request: pb.RpcEnvelope) -> str:
        request.request_id = request.request_id or str(uuid.uuid4())
        future = asyncio.get_running_loop().create_future()
        self._session.replies[request.request_id] = future
        await self._session.send(RPC_RELIABLE, request.SerializeToString())
        return request.request_id

    async def _answer(self, request_id: str) -> bytes:
        reply = await self._session.replies[request_id]
        if reply.HasField("error"):
            raise RefusedError(reply.error)
        return reply.payload

    async def _say(self, chunk: pb.StreamChunk) -> None:
        await self._session.send(STREAM_RELIABLE, chunk.SerializeToString())


def actor_id(text: str) -> pb.ActrId:
    """``manufacturer:name@instance:realm`` as its message."""
    kind, _, place = text.partition("@")
    manufacturer, name = kind.split(":")
    instance, realm = place.split(":")
    return pb.ActrId(manufacturer=manufacturer, name=name, instance=instance, realm=realm)


async def _shake_hands(wire: ClientConnection, own: str, wanted: str, secret: bytes) -> None:
    nonce = os.urandom(32)

    async def send(**step: object) -> None:
        data = pb.WireHandshake(**step).SerializeToString()  # type: ignore[arg-type]
        await wire.send(struct.pack("!BI", HANDSHAKE, len(data)) + data)

    async def receive() -> pb.WireHandshake:
        message = await wire.recv()
        assert isinstance(message, bytes)
        assert message[0] == HANDSHAKE
        return pb.WireHandshake.FromString(message[5:])

    def mac(label: bytes) -> bytes:
        if not secret:
            return b""
        ids = label + b"\0" + own.encode() + b"\0" + wanted.encode() + b"\0"
        return hmac.digest(secret, ids + nonce + challenge.nonce, "sha256")

    hello = pb.WireHello(version=1, to=actor_id(wanted), nonce=nonce)
    getattr(hello, "from").CopyFrom(actor_id(own))
    await send(hello=hello)
    answer = await receive()
    if answer.HasField("welcome"):
        raise RefusedError(answer.welcome.error)
    challenge = answer.challenge
    await send(proof=pb.WireProof(mac=mac(b"actr/wire/v1/dial")))
    welcome = (await receive()).welcome
    if welcome.HasField("error"):
        raise RefusedError(welcome.error)
    if not hmac.compare_digest(welcome.mac, mac(b"actr/wire/v1/listen")):
        raise ConnectionError("the listener does not have the secret")


@asynccontextmanager
async def client(
    address: str, *, own: str, wanted: str, secret: bytes = b""
) -> AsyncIterator[Client]:
    """A client of the actor ``wanted``, which listens at ``address``.

    Raises:
        RefusedError: If the listener says no.
    """
    async with connect(address, compression=None, max_size=None) as wire:
        await _shake_hands(wire, own, wanted, secret)
        session = Session(wire)
        reading = asyncio.ensure_future(session.read())
        try:
            await session.greet()
            await session.remote_is_known.wait()
            yield Client(session)
        finally:
            reading.cancel()
