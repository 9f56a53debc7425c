"""What strangers and members do to the port of a peer."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import cache, partial

from websockets.frames import Opcode

from actr import envelope_pb2
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.session import frames
from actr_peer.protocol.websocket.handshake import Accepted, DiallerHandshake
from actr_peer.protocol.websocket.lane_frames import HANDSHAKE, decode, encode
from tests.abuse import signaling_abuses
from tests.abuse.door_peer import ROOM
from tests.abuse.side import Attack
from tests.abuse.stranger import Connection, connect, frame, many, pour, read_all, upgrade

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
BOMB_BYTES = 8 * 1024 * 1024
CONTROL_CHANNEL, REQUEST_CHANNEL, PULSE_CHANNEL = 1, 0, 3
_names = itertools.count()


def url_of(address: str) -> str:
    return address.partition("#")[0]


def data(channel: int, message: bytes) -> bytes:
    return frame(Opcode.BINARY, encode(channel, message))


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """The payload of one frame of a listener."""
    _, size = await reader.readexactly(2)
    if size >= 126:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    return await reader.readexactly(size)


async def shaken(url: str) -> Connection:
    """A wire of an actor that nobody knows, its handshake done."""
    reader, writer = await upgrade(url)
    me = ActrId("abuser", "peer", f"{os.getpid()}-{next(_names)}")
    handshake = DiallerHandshake(local=me, remote=ROOM, nonce=os.urandom(32), secret=None)
    step = handshake.start()
    while True:
        writer.write(frame(Opcode.BINARY, encode(HANDSHAKE, step)))
        outcome = handshake.receive(decode(await read_frame(reader))[1])
        if isinstance(outcome, Accepted):
            return reader, writer
        step = outcome.step


async def member(url: str) -> Connection:
    """The same with its session begun."""
    reader, writer = await shaken(url)
    incarnation = random.getrandbits(63) | 1
    hello = frames.Hello(incarnation, 0, (0,) * frames.LANES, MAX_MESSAGE_BYTES)
    writer.write(data(CONTROL_CHANNEL, frames.encode_hello(hello)))
    await read_frame(reader)
    return reader, writer


async def pouring(
    url: str,
    what: bytes,
    *,
    who: Callable[[str], Awaitable[Connection]] = member,
    reads: bool = True,
) -> None:
    reader, writer = await who(url)
    reading = asyncio.create_task(drained(reader)) if reads else None
    try:
        await pour(writer, what)
    finally:
        writer.transport.abort()
        if reading is not None:
            reading.cancel()


async def drained(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        await read_all(reader)


def flood(
    make: Callable[[], bytes],
    *,
    count: int = 4,
    who: Callable[[str], Awaitable[Connection]] = member,
    reads: bool = True,
) -> Attack:
    """So many connections that pour the same without end."""

    def attack(address: str) -> AsyncIterator[None]:
        what = make()
        return many(count, lambda: pouring(url_of(address), what, who=who, reads=reads))

    return attack


def of_strangers(attack: Attack) -> Attack:
    """An abuse of any WebSocket."""
    return lambda address: attack(url_of(address))


def empty_pieces() -> bytes:
    return frame(Opcode.BINARY, fin=False) + frame(Opcode.CONT, fin=False) * 1000


def session_pings() -> bytes:
    return data(PULSE_CHANNEL, frames.encode_ping(1) * 3000)


def one_ping_each() -> bytes:
    return data(PULSE_CHANNEL, frames.encode_ping(1)) * 1000


def idle_byes() -> bytes:
    return data(CONTROL_CHANNEL, frames.encode_bye(frames.ByeReason.IDLE) * 8000)


def asks() -> bytes:
    return data(CONTROL_CHANNEL, frames.encode_ask(0) * 8000)


def acknowledgements() -> bytes:
    ack = frames.encode_ack(frames.Ack(0, 0, 0, 1024, 1 << 22))
    return data(CONTROL_CHANNEL, ack * 500)


def request(number: int) -> bytes:
    envelope = envelope_pb2.RpcEnvelope(request_id=f"r{number}", route_key="demo.Chat.Say")
    payload = envelope.SerializeToString()
    return frames.data_head(number, len(payload)) + payload


@cache
def bomb() -> bytes:
    """One request whose metadata is all there is of it."""
    metadata = {f"{number:08x}": "" for number in range(BOMB_BYTES // 16)}
    envelope = envelope_pb2.RpcEnvelope(
        request_id="b", route_key="demo.Chat.Say", metadata=metadata
    )
    return b"".join(pieces(envelope.SerializeToString()))


def pieces(message: bytes, *, at_most: int = 1 << 16) -> list[bytes]:
    """The wire messages of one session message, or of its first fragments."""
    size = frames.FRAGMENT_BYTES
    count = -(-len(message) // size)
    parts = (message[n * size : (n + 1) * size] for n in range(min(count, at_most)))
    return [
        data(REQUEST_CHANNEL, frames.fragment_head(n, len(part), n, count) + part)
        for n, part in enumerate(parts)
    ]


async def stays(url: str, what: bytes) -> None:
    """Say it once, and stay until it is cut, or for two seconds."""
    reader, writer = await member(url)
    try:
        writer.write(what)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await read_all(reader)
    finally:
        writer.transport.abort()


def bombs(address: str) -> AsyncIterator[None]:
    what = bomb()
    return many(2, partial(stays, url_of(address), what))


def unfinished(address: str) -> AsyncIterator[None]:
    """Each with a new name: all of a message of 4 MiB but its end."""
    what = b"".join(pieces(bytes(4 * 1024 * 1024), at_most=250))
    return many(20, partial(stays, url_of(address), what))


def requests_unread(address: str) -> AsyncIterator[None]:
    """A hundred requests, and none of their replies is read; ten who do so in turn.

    Together they would be a thousand calls at one instant, of which each takes its own time: that
    is load, and an actor answers in order of arrival.
    """
    what = b"".join(data(REQUEST_CHANNEL, request(number)) for number in range(100))
    count, stay = 10, 2.0
    waits = iter(range(count))

    async def one() -> None:
        await asyncio.sleep(next(waits, 0) * stay / count)
        _, writer = await member(url_of(address))
        try:
            writer.write(what)
            await asyncio.sleep(stay)
        finally:
            writer.transport.abort()

    return many(count, one)


def half_heads(address: str) -> AsyncIterator[None]:
    return signaling_abuses.trickling(url_of(address), b"GET /v1/wire HTTP/1.1\r\nX-Slow: ")


def half_handshakes(address: str) -> AsyncIterator[None]:
    """Upgraded, and then silent."""

    async def one() -> None:
        reader, writer = await upgrade(url_of(address))
        try:
            await read_all(reader)
        finally:
            writer.transport.abort()

    return many(200, one)


def silent_from_many(address: str) -> AsyncIterator[None]:
    """Connections that say nothing, from two hundred addresses."""
    hosts = itertools.cycle(f"127.0.1.{number}" for number in range(1, 201))

    async def one() -> None:
        reader, writer = await connect(url_of(address), next(hosts))
        try:
            await read_all(reader)
        finally:
            writer.transport.abort()

    return many(800, one)


def new_names(address: str) -> AsyncIterator[None]:
    """Does the handshake under a new name, and goes."""

    async def one() -> None:
        _, writer = await shaken(url_of(address))
        writer.transport.abort()

    return many(10, one)


ABUSES: Mapping[str, Attack] = {
    "silent connections": of_strangers(signaling_abuses.silent),
    "silent connections of many addresses": silent_from_many,
    "half heads": half_heads,
    "half handshakes": half_handshakes,
    "long heads": of_strangers(signaling_abuses.long_heads),
    "comes and goes": of_strangers(signaling_abuses.storm),
    "tiny frames before the handshake": of_strangers(signaling_abuses.tiny_frames),
    "pongs before the handshake": of_strangers(signaling_abuses.strange_pongs),
    "goes on after a refusal": of_strangers(signaling_abuses.goes_on_talking),
    "pings": flood(lambda: frame(Opcode.PING) * 1000),
    "pongs": flood(lambda: frame(Opcode.PONG) * 1000),
    "pings and reads nothing": flood(lambda: frame(Opcode.PING, bytes(100)) * 500, reads=False),
    "empty pieces": flood(empty_pieces),
    "new names": new_names,
    "pings of sessions": flood(session_pings),
    "pings of sessions, one by one": flood(one_ping_each),
    "good-byes of sessions": flood(idle_byes),
    "asks of sessions": flood(asks),
    "acknowledgements": flood(acknowledgements),
    "unfinished messages of new names": unfinished,
    "requests whose replies are not read": requests_unread,
    "bombs of metadata": bombs,
}
