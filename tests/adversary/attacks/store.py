"""What whoever has Redis could do: alter what is stored, alter what goes by, say it again."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis

from actr_peer import WireKind
from actr_peer.errors import PeerError
from tests.adversary.attack import Attacks, Refusal, demand, refused_first
from tests.adversary.attacks.descriptions import WHAT
from tests.adversary.attacks.presence import found, judged
from tests.adversary.between import Between
from tests.adversary.people import ALICE, VICTOR, actor
from tests.adversary.recorder import TcpRecorder
from tests.adversary.world import World

FORGE = """
local id, from, to = ARGV[1], ARGV[2], ARGV[3]
local value = redis.call('HGET', 'actr:records', id)
local at, last = string.find(value, from)
local forged = string.sub(value, 1, at - 1) .. to .. string.sub(value, last + 1)
redis.call('HSET', 'actr:records', id, forged)
local before = redis.call('HGET', 'actr:state', 'version')
local version = string.format('%016.0f', tonumber(before) + 2)
redis.call('HSET', 'actr:state', 'version', version)
redis.call('PUBLISH', 'actr:presence', 'P' .. before .. version .. forged)
"""
"""Alters an entry, the first place that a pattern fits, and tells all replicas."""


@asynccontextmanager
async def store(world: World) -> AsyncIterator[Redis]:
    async with Redis(unix_socket_path=str(world.redis_socket)) as client:
        yield client


def altering(pattern: str, becomes: str) -> object:
    """Alters Victor's entry, and Alice, at the other replica, looks for him."""

    async def attack(world: World) -> Refusal:
        async with (
            store(world) as redis,
            actor(world, ALICE, world.signaling[1], prefer=(WireKind.WEBSOCKET,)) as alice,
            actor(world, VICTOR, world.signaling[0], prefer=(WireKind.WEBSOCKET,)),
        ):
            await found(alice)
            # What it has found it keeps; an actor that comes now has nothing yet.
            await redis.eval(FORGE, 0, str(VICTOR), pattern, becomes)
            async with actor(
                world, ALICE, world.signaling[1], prefer=(WireKind.WEBSOCKET,)
            ) as later:
                return await judged(
                    later,
                    "differs from what is signed",
                    found(later),
                    "Alice takes the lie for the truth",
                )

    return attack


def store_of(world: World) -> TcpRecorder:
    assert world.store is not None
    return world.store


async def swaps_a_fingerprint_in_flight(world: World) -> Refusal:
    """Bytes of relays between replicas are altered on their way to Redis."""
    recorder = store_of(world)
    altered = 0

    def alter(is_near: bool, data: bytes) -> bytes:
        nonlocal altered
        new, count = re.subn(rb"(a=fingerprint:sha-256 )..:..", rb"\1EE:EE", data)
        altered += count if is_near else 0
        return new if is_near else data

    async with (
        Between(world.signaling[1]) as between,
        actor(world, ALICE, world.signaling[0]) as alice,
        actor(world, VICTOR, between.url) as victor,
    ):
        answered = asyncio.ensure_future(
            between.hears(lambda _, said: said.relay.negotiate.HasField("answer"))
        )
        await asyncio.sleep(0)
        recorder.alter = alter
        calling = asyncio.ensure_future(alice.call(VICTOR))
        try:
            event = await refused_first(victor.hears(WHAT), answered, "Victor answers it")
        finally:
            recorder.alter = lambda _, data: data
            calling.cancel()
            with suppress(asyncio.CancelledError, PeerError):
                await calling
        demand(altered >= 1, "nothing went by")
        count = victor.dropped.get("swapped", 0)
        demand(count >= 1, f"not counted: {victor.dropped}")
        return Refusal(f"descriptions dropped, swapped: {count}", event.why)


async def says_a_relay_again(world: World) -> Refusal:
    """What replicas told each other is published once more, to the next process of Victor."""
    recorder = store_of(world)
    published: list[bytes] = []

    def keep(is_near: bool, data: bytes) -> bytes:
        if is_near and b"a=fingerprint" in data and b"victor" in data:
            published.append(data)
        return data

    async with (
        Between(world.signaling[1]) as between,
        actor(world, ALICE, world.signaling[0]) as alice,
    ):
        recorder.alter = keep
        answered = asyncio.ensure_future(
            between.hears(lambda _, said: said.relay.negotiate.HasField("answer"))
        )
        await asyncio.sleep(0)
        try:
            async with actor(world, VICTOR, between.url):
                await alice.call(VICTOR)
                _, first = await answered
        finally:
            recorder.alter = lambda _, data: data
            answered.cancel()
        replayed = first.relay.negotiate.connection_id
        demand(bool(published), "nothing went by")
        async with actor(world, VICTOR, between.url) as next_:
            # Alice comes again by herself as well: hers is another connection.
            answered = asyncio.ensure_future(
                between.hears(
                    lambda _, said: (
                        said.relay.negotiate.HasField("answer")
                        and said.relay.negotiate.connection_id == replayed
                    )
                )
            )
            await asyncio.sleep(0)
            reader, writer = await asyncio.open_unix_connection(str(world.redis_socket))
            writer.write(published[0])
            await writer.drain()
            try:
                event = await refused_first(next_.hears(WHAT), answered, "Victor answers it")
            finally:
                writer.close()
            del reader
            count = next_.dropped.get("replayed", 0)
            demand(count >= 1, f"not counted: {next_.dropped}")
            return Refusal(f"descriptions dropped, replayed: {count}", event.why)


ATTACKS: Attacks = {
    "alters the address of an entry": altering("wss://127", "wss://128"),  # type: ignore[dict-item]
    "alters a fingerprint of a service": altering("demo.Chat", "demo.Chas"),  # type: ignore[dict-item]
    "swaps a fingerprint on its way": swaps_a_fingerprint_in_flight,
    "says a relay again": says_a_relay_again,
}
"""Only where there is a Redis."""
