"""What members of signaling do together, and what comes from many addresses at once."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping

from websockets.frames import Opcode

from actr import envelope_pb2
from actr import signaling_pb2 as pb
from tests.abuse.side import Attack
from tests.abuse.stranger import (
    Connection,
    connect,
    frame,
    many,
    pour,
    read_all,
    upgrade,
    upgrade_head,
)

LARGE_SDP = "x" * 48_000
HERE = b"all taken"
"""Of a ping: its pong says that the service has taken what was sent before."""
TYPES = 128
_names = itertools.count()
_sources = itertools.cycle(f"127.0.0.{number}" for number in range(2, 201))
"""Addresses of this machine: limits for each address do not see that all are one."""


def actor(name: str, *, kind: str = "crowd") -> envelope_pb2.ActrId:
    return envelope_pb2.ActrId(manufacturer="abuser", name=kind, instance=name, realm="default")


def message(**body: object) -> bytes:
    data = pb.ClientMessage(id=1, **body).SerializeToString()  # type: ignore[arg-type]
    return frame(Opcode.BINARY, data)


def relay(to: envelope_pb2.ActrId, sdp: str = LARGE_SDP) -> bytes:
    offer = pb.Negotiate(connection_id="c", offer=pb.SessionDescription(sdp=sdp))
    return message(relay=pb.Relay(to=to, negotiate=offer))


async def member(url: str, me: envelope_pb2.ActrId | None = None) -> Connection:
    """A registered peer, of an address of its own."""
    me = me or actor(f"c{next(_names)}")
    reader, writer = await upgrade(url, next(_sources))
    writer.write(message(authenticate=pb.Authenticate(id=me)))
    writer.write(message(register=pb.Register(id=me, incarnation=next(_names))))
    await writer.drain()
    return reader, writer


async def repeating(
    url: str,
    what: bytes,
    *,
    every: float,
    me: envelope_pb2.ActrId | None = None,
    reads: bool = True,
) -> None:
    """A member that says the same again and again, at a pace."""
    reader, writer = await member(url, me)
    reading = asyncio.create_task(read_all(reader)) if reads else None
    try:
        while reading is None or not reading.done():
            writer.write(what)
            await writer.drain()
            await asyncio.sleep(every)
    finally:
        writer.transport.abort()
        if reading is not None:
            reading.cancel()


def all_saying(
    count: int, what: Callable[[], bytes], *, every: float, reads: bool = True
) -> Attack:
    def attack(url: str) -> AsyncIterator[None]:
        said = what()
        return many(count, lambda: repeating(url, said, every=every, reads=reads))

    return attack


def newcomers(url: str) -> AsyncIterator[None]:
    """They come from all addresses and go again, as fast as they can."""

    async def one() -> None:
        _, writer = await upgrade(url, next(_sources))
        writer.transport.abort()

    return many(100, one)


def closed_at_once(url: str) -> AsyncIterator[None]:
    """TCP connections of all addresses that are reset as soon as they are there."""

    async def one() -> None:
        for _ in range(20):
            _, writer = await connect(url, next(_sources))
            writer.transport.abort()

    return many(200, one)


def slow_heads(url: str) -> AsyncIterator[None]:
    async def one() -> None:
        _, writer = await connect(url, next(_sources))
        try:
            for byte in itertools.chain(b"GET /v1/ws HTTP/1.1\r\nX: ", itertools.repeat(120)):
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(1)
        finally:
            writer.transport.abort()

    return many(2000, one)


def pongs(url: str) -> AsyncIterator[None]:
    async def one() -> None:
        reader, writer = await member(url)
        reading = asyncio.create_task(read_all(reader))
        try:
            await pour(writer, frame(Opcode.PONG) * 1000)
        finally:
            writer.transport.abort()
            reading.cancel()

    return many(40, one)


def large_relays_in_a_ring(url: str) -> AsyncIterator[None]:
    """Each of twenty sends the next what its bytes allow, itself too, and one that is not there."""
    ring = [actor(f"r{number}") for number in range(20)]
    places = itertools.cycle(range(20))

    async def one() -> None:
        place = next(places)
        to = (ring[(place + 1) % 20], ring[place], actor("nobody"))
        three = b"".join(map(relay, to))
        await repeating(url, three, every=0.15, me=ring[place])

    return many(20, one)


def large_relays_to_a_deaf_one(url: str) -> AsyncIterator[None]:
    """Thirty members send one all that the rates allow, and it reads nothing."""
    deaf = actor("deaf")
    large = relay(deaf)
    roles = itertools.chain([True], itertools.repeat(False))

    async def one() -> None:
        if next(roles):
            await repeating(url, message(heartbeat=pb.Heartbeat()), every=1, me=deaf, reads=False)
        else:
            await repeating(url, large, every=0.05)

    return many(31, one)


def subscriptions() -> bytes:
    """To all, to so many types, and to none of them again."""
    types = [f"abuser:t{number}" for number in range(TYPES - 1)]
    wanted = [message(subscribe=pb.Subscribe(actr_type=one)) for one in ["", *types]]
    unwanted = [message(unsubscribe=pb.Unsubscribe(actr_type=one)) for one in ["", *types]]
    return b"".join(wanted + unwanted)


async def watchers(url: str) -> AsyncIterator[None]:
    """Five hundred that watch, and ten that change all the time; all are there when it begins.

    What their coming costs is measured by newcomers.
    """
    starts = itertools.count(1)
    roles = itertools.chain([True] * 10, itertools.repeat(False))
    comings = itertools.count(1)
    are_here = asyncio.Event()

    async def one() -> None:
        me = actor(f"w{next(_names)}")
        watch = message(subscribe=pb.Subscribe())
        changes = next(roles)
        reader, writer = await member(url, me)
        try:
            writer.write(frame(Opcode.PING, HERE))
            await reader.readuntil(HERE)  # all that came before it has been taken
            if next(comings) == 500:
                are_here.set()
            await are_here.wait()
            reading = asyncio.create_task(read_all(reader))
            try:
                while not reading.done():
                    start = message(register=pb.Register(id=me, incarnation=next(starts)))
                    writer.write(start if changes else watch)
                    await writer.drain()
                    await asyncio.sleep(0.21 if changes else 10)
            finally:
                reading.cancel()
        finally:
            writer.transport.abort()

    crowd = many(500, one)
    await anext(crowd)
    await are_here.wait()
    yield
    async for _ in crowd:
        pass


def one_identity(url: str) -> AsyncIterator[None]:
    """Forty connections that are all the same actor: each replaces the one before."""
    me = actor("same")
    beat = message(heartbeat=pb.Heartbeat())
    return many(40, lambda: repeating(url, beat, every=0.05, me=me))


def changing_loads() -> bytes:
    loads = itertools.cycle([pb.Load(mailbox_backlog=1), pb.Load(mailbox_backlog=1 << 20)])
    return b"".join(message(heartbeat=pb.Heartbeat(load=next(loads))) for _ in range(10))


async def in_json(url: str, said: list[str], *, every: float) -> None:
    """A member in JSON form."""
    reader, writer = await connect(url, next(_sources))
    try:
        name = f"j{next(_names)}"
        me = {"manufacturer": "abuser", "name": "tool", "instance": name, "realm": "default"}
        writer.write(json_upgrade(url))
        await reader.readuntil(b"\r\n\r\n")
        for body in ({"authenticate": {"id": me}}, {"register": {"id": me}}):
            writer.write(frame(Opcode.TEXT, json.dumps({"id": 1, **body}).encode()))
        reading = asyncio.create_task(read_all(reader))
        try:
            while not reading.done():
                for text in said:
                    writer.write(frame(Opcode.TEXT, text.encode()))
                await writer.drain()
                await asyncio.sleep(every)
        finally:
            reading.cancel()
    finally:
        writer.transport.abort()


def json_upgrade(url: str) -> bytes:
    return upgrade_head(url, "Sec-WebSocket-Protocol: actr.v1.json")


def json_questions(url: str) -> AsyncIterator[None]:
    said = ['{"id": 1, "subscribe": {}}', '{"id": 2, "discover": {"actr_type": "honest:peer"}}'] * 5
    return many(10, lambda: in_json(url, said, every=10 / 450))


def json_of_many_values(url: str) -> AsyncIterator[None]:
    many_values = '{"register": {"services": [' + "{}," * 20_000 + "{}]}}"
    return many(20, lambda: in_json(url, [many_values], every=0.1))


STRANGE = [
    b"GET http://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://x/v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST /version HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    b"POST /version HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"1\r\nx\r\n" * 1000
    + b"0\r\n\r\n",
    b"POST /version HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n"
    b"\r\nx",
    b"GET /version HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"GET /version HTTP/1.1\r\nHost: x\r\nX: a\r\n folded\r\n\r\n",
    b"GET /\r\x00\n HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600),
]
"""Requests that no client of this service makes."""


def strange_requests(url: str) -> AsyncIterator[None]:
    kinds = itertools.cycle(STRANGE)

    async def one() -> None:
        reader, writer = await connect(url, next(_sources))
        try:
            writer.write(next(kinds))
            writer.write_eof()
            await read_all(reader)
        finally:
            writer.transport.abort()

    return many(60, one)


ABUSES: Mapping[str, Attack] = {
    "newcomers of many addresses": newcomers,
    "reset connections of many addresses": closed_at_once,
    "slow heads of many addresses": slow_heads,
    "pongs of many addresses": pongs,
    "heartbeats of a hundred": all_saying(
        100, lambda: message(heartbeat=pb.Heartbeat()) * 10, every=10 / 450
    ),
    "heartbeats at their limit": all_saying(
        100, lambda: message(heartbeat=pb.Heartbeat()), every=0.21
    ),
    "loads that change": all_saying(20, changing_loads, every=10 / 450),
    "large relays in a ring": large_relays_in_a_ring,
    "large relays to a deaf one": large_relays_to_a_deaf_one,
    "subscriptions": all_saying(10, subscriptions, every=2 * TYPES / 450),
    "crowds that watch": watchers,
    "one identity for all": one_identity,
    "questions in JSON form": json_questions,
    "many values in JSON form": json_of_many_values,
    "strange requests": strange_requests,
}
