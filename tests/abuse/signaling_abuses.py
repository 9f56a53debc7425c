"""What strangers and members do to a signaling service."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping

from websockets.frames import Opcode

from actr import envelope_pb2
from actr import signaling_pb2 as pb
from tests.abuse.side import Attack
from tests.abuse.stranger import connect, frame, many, pour, read_all, upgrade, upgrade_head

FRAMES = 50_000
Member = tuple[asyncio.StreamReader, asyncio.StreamWriter, envelope_pb2.ActrId]
_names = itertools.count()


def actor(name: str, *, of: str = "abuser:peer") -> envelope_pb2.ActrId:
    manufacturer, _, kind = of.partition(":")
    return envelope_pb2.ActrId(manufacturer=manufacturer, name=kind, instance=name, realm="default")


def message(**body: object) -> bytes:
    data = pb.ClientMessage(id=1, **body).SerializeToString()  # type: ignore[arg-type]
    return frame(Opcode.BINARY, data)


async def member(
    url: str,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, envelope_pb2.ActrId]:
    """A registered peer; the caller has to read."""
    reader, writer = await upgrade(url)
    me = actor(f"a{next(_names)}")
    writer.write(message(authenticate=pb.Authenticate(id=me)))
    writer.write(message(register=pb.Register(id=me, incarnation=1)))
    await writer.drain()
    return reader, writer, me


async def pouring(url: str, data: bytes, *, as_member: bool, readers: bool = True) -> None:
    """One connection that pours; what it is told it reads, or not."""
    if as_member:
        reader, writer, _ = await member(url)
    else:
        reader, writer = await upgrade(url)
    reading = asyncio.create_task(read_all(reader)) if readers else None
    try:
        await pour(writer, data)
    finally:
        writer.transport.abort()
        if reading is not None:
            reading.cancel()


def tiny_frames(url: str) -> AsyncIterator[None]:
    """Nobody yet, and 50,000 frames of six bytes at once."""
    data = frame(Opcode.BINARY) * FRAMES

    async def one() -> None:
        reader, writer = await upgrade(url)
        try:
            writer.write(data)
            async with asyncio.timeout(2):
                await read_all(reader)
        except TimeoutError:
            pass
        finally:
            writer.transport.abort()

    return many(4, one)


def strange_pongs(url: str) -> AsyncIterator[None]:
    return many(4, lambda: pouring(url, frame(Opcode.PONG) * 1000, as_member=False))


def member_pongs(url: str) -> AsyncIterator[None]:
    return many(4, lambda: pouring(url, frame(Opcode.PONG) * 1000, as_member=True))


def member_pings(url: str) -> AsyncIterator[None]:
    return many(4, lambda: pouring(url, frame(Opcode.PING) * 1000, as_member=True))


def member_text(url: str) -> AsyncIterator[None]:
    return many(4, lambda: pouring(url, frame(Opcode.TEXT, b"hello") * 1000, as_member=True))


def empty_fragments(url: str) -> AsyncIterator[None]:
    data = frame(Opcode.BINARY, fin=False) + frame(Opcode.CONT, fin=False) * 1000
    return many(4, lambda: pouring(url, data, as_member=True))


def goes_on_talking(url: str) -> AsyncIterator[None]:
    """Refused with the first message; then 60 KiB after 60 KiB."""
    data = frame(Opcode.BINARY, b"\xff" * 60_000)
    return many(8, lambda: pouring(url, data, as_member=False))


def single_bytes(url: str) -> AsyncIterator[None]:
    """A message of 64 KiB in pieces of a few bytes."""
    data = frame(Opcode.BINARY, b"\xff" * 65_000)

    async def one() -> None:
        _, writer, _ = await member(url)
        try:
            for at in range(0, len(data), 4):
                writer.write(data[at : at + 4])
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            writer.transport.abort()

    return many(8, one)


def bursts(url: str) -> AsyncIterator[None]:
    """Registered, and 2,000 messages at once: what one connection may just do."""

    async def one() -> None:
        reader, writer, _ = await member(url)
        reading = asyncio.create_task(read_all(reader))
        try:
            writer.write(message(heartbeat=pb.Heartbeat()) * 1990)
            await writer.drain()
            await asyncio.sleep(0.5)
        finally:
            reading.cancel()
            writer.transport.abort()

    return many(4, one)


async def steadily(url: str, ten: bytes, *, reads: bool = True) -> None:
    """A member that sends ten messages 45 times a second: below every rate."""
    reader, writer, _ = await member(url)
    reading = asyncio.create_task(read_all(reader)) if reads else None
    try:
        while True:
            writer.write(ten)
            await writer.drain()
            await asyncio.sleep(10 / 450)
    finally:
        writer.transport.abort()
        if reading is not None:
            reading.cancel()


def registers_anew(url: str) -> AsyncIterator[None]:
    """Each of ten says 450 times a second that it is another start of itself."""
    starts = itertools.count(2)

    async def one() -> None:
        reader, writer, me = await member(url)
        reading = asyncio.create_task(read_all(reader))
        try:
            while True:
                for _ in range(10):
                    new = pb.Register(id=me, incarnation=next(starts))
                    writer.write(message(register=new))
                await writer.drain()
                await asyncio.sleep(10 / 450)
        finally:
            reading.cancel()
            writer.transport.abort()

    return many(10, one)


def snapshots(url: str) -> AsyncIterator[None]:
    ten = message(subscribe=pb.Subscribe()) * 10
    return many(10, lambda: steadily(url, ten))


def discoveries(url: str) -> AsyncIterator[None]:
    ten = message(discover=pb.Discover(actr_type="honest:peer", stickiness="k")) * 10
    return many(10, lambda: steadily(url, ten))


def reads_nothing(url: str) -> AsyncIterator[None]:
    """Asks for snapshots and leaves them unread."""
    ten = message(subscribe=pb.Subscribe()) * 10
    return many(20, lambda: steadily(url, ten, reads=False))


def relays_to_one(url: str) -> AsyncIterator[None]:
    """Twenty members send one honest peer all that the rates allow."""
    victim = actor("p0", of="honest:peer")
    offer = pb.Negotiate(connection_id="c", offer=pb.SessionDescription(sdp="x" * 2_000))
    ten = message(relay=pb.Relay(to=victim, negotiate=offer)) * 10
    return many(20, lambda: steadily(url, ten))


def long_heads(url: str) -> AsyncIterator[None]:
    """Requests for an upgrade with 200 headers, of over 8 KiB, of endless length."""
    kinds = itertools.cycle(
        [
            upgrade_head(url, *(f"X-{number}: 1" for number in range(200))),
            upgrade_head(url, f"X-Long: {'x' * 12_000}"),
            upgrade_head(url, f"X-Longer: {'x' * 200_000}"),
        ]
    )

    async def one() -> None:
        reader, writer = await connect(url)
        try:
            writer.write(next(kinds))
            await read_all(reader)
        finally:
            writer.transport.abort()

    return many(60, one)


def silent(url: str) -> AsyncIterator[None]:
    """Connections that say nothing."""

    async def one() -> None:
        reader, writer = await connect(url)
        try:
            await read_all(reader)
        finally:
            writer.transport.abort()

    return many(1500, one)


def trickling(url: str, head: bytes) -> AsyncIterator[None]:
    async def one() -> None:
        _, writer = await connect(url)
        try:
            writer.write(head)
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.5)
        finally:
            writer.transport.abort()

    return many(500, one)


def slow_heads(url: str) -> AsyncIterator[None]:
    return trickling(url, b"GET /v1/ws HTTP/1.1\r\nX-Slow: ")


def slow_bodies(url: str) -> AsyncIterator[None]:
    return trickling(url, b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 8000\r\n\r\n")


def storm(url: str) -> AsyncIterator[None]:
    """Comes, upgrades and goes, as fast as it can."""

    async def one() -> None:
        _, writer = await upgrade(url)
        writer.transport.abort()

    return many(100, one)


def requests(url: str) -> AsyncIterator[None]:
    """Many requests on one connection, one after the other without waiting."""
    ask = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n" * 100

    async def one() -> None:
        reader, writer = await connect(url)
        reading = asyncio.create_task(read_all(reader))
        try:
            await pour(writer, ask)
        finally:
            reading.cancel()
            writer.transport.abort()

    return many(8, one)


ABUSES: Mapping[str, Attack] = {
    "tiny frames of strangers": tiny_frames,
    "pongs of strangers": strange_pongs,
    "pongs": member_pongs,
    "pings": member_pings,
    "text": member_text,
    "empty fragments": empty_fragments,
    "goes on after a refusal": goes_on_talking,
    "messages in single bytes": single_bytes,
    "bursts": bursts,
    "registers anew": registers_anew,
    "snapshots": snapshots,
    "discoveries": discoveries,
    "asks and reads nothing": reads_nothing,
    "relays to one peer": relays_to_one,
    "long heads": long_heads,
    "silent connections": silent,
    "slow heads": slow_heads,
    "slow bodies": slow_bodies,
    "comes and goes": storm,
    "requests without waiting": requests,
}
