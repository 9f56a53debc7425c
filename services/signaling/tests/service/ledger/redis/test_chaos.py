"""Random trouble for a while, then quiet: every replica must see exactly who is there."""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import AsyncExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosed

from actr import signaling_pb2 as pb
from signaling_kit.client import Client, Deployment, serve
from signaling_kit.redis import RedisProcess

pytestmark = [pytest.mark.service, pytest.mark.slow]
ACTORS = 24
STEPS = 150
QUIET = 4.0
"""Seconds after the last trouble: 3 are promised."""


class Crowd:
    """Actors that come, go, move and vanish, on three replicas around one Redis."""

    def __init__(self, deployment: Deployment, redis: RedisProcess, dice: random.Random) -> None:
        self.deployment = deployment
        self.redis = redis
        self.dice = dice
        self.here: dict[str, Client] = {}

    async def come(self, name: str) -> None:
        """Register, in the place of an older connection if there is one."""
        client = await self.deployment.client(self.dice.randrange(3))
        with suppress(ConnectionClosed):
            await client.authenticate(name)
            answer = await client.register(incarnation=self.dice.randrange(3))
            if answer.HasField("registered"):
                self.here[name] = client

    async def go(self, name: str) -> None:
        client = self.here.pop(name, None)
        if client is not None:
            with suppress(ConnectionClosed):
                await client.ask(unregister=pb.Unregister())

    async def vanish(self, name: str) -> None:
        client = self.here.pop(name, None)
        if client is not None:
            client.abort()

    async def trouble(self) -> None:
        match self.dice.randrange(4):
            case 0:
                self.redis.kill()
                await asyncio.sleep(self.dice.random())
                self.redis.start()
            case 1:
                self.redis.ask("CLIENT", "KILL", "TYPE", self.dice.choice(["normal", "pubsub"]))
            case _:
                self.redis.ask("FLUSHALL")

    async def step(self) -> None:
        name = f"p@{self.dice.randrange(ACTORS)}"
        match self.dice.randrange(20):
            case 0:
                await self.trouble()
            case n if n < 12:
                await self.come(name)
            case n if n < 16:
                await self.go(name)
            case _:
                await self.vanish(name)


@pytest.mark.parametrize("seed", [int(os.environ.get("ACTR_TEST_SEED", "7"))])
async def test_after_any_trouble_every_replica_sees_exactly_who_is_there(
    own_redis: RedisProcess, seed: int
) -> None:
    async with AsyncExitStack() as stack:
        replicas = [
            await stack.enter_async_context(serve(redis_url=own_redis.url, grace=0.2))
            for _ in range(3)
        ]
        deployment = Deployment(replicas)
        watchers = [await deployment.registered(f"watcher@{n}", n) for n in range(3)]
        heard: list[set[str]] = [set() for _ in watchers]
        for watcher in watchers:
            await watcher.subscribe("acme:p")
        crowd = Crowd(deployment, own_redis, random.Random(seed))
        for _ in range(STEPS):
            await crowd.step()
        await asyncio.sleep(QUIET)
        expected = {f"acme:{name}:default" for name in crowd.here}
        for replica in replicas:
            seen = {one.text for one in replica.service.hub.presence if "watcher" not in one.text}
            assert seen == expected
        for watcher, names in zip(watchers, heard, strict=True):
            await _listen(watcher, names)
            assert names == expected
        for name, client in crowd.here.items():
            answer = await watchers[0].relay(name, "are you there?")
            assert answer.HasField("receipt"), name
            assert (await client.next("relayed")).negotiate.candidate.candidate
        await deployment.close_clients()


async def _listen(watcher: Client, names: set[str]) -> None:
    """Follow all that was told until now."""
    await watcher.ask(heartbeat=pb.Heartbeat())
    for message in watcher.kept:
        event = message.presence
        text = f"acme:p@{event.presence.id.instance}:default"
        if not message.HasField("presence"):
            continue
        if event.kind == pb.PresenceEvent.LEAVE:
            names.remove(text)
        elif event.kind == pb.PresenceEvent.JOIN:
            assert text not in names
            names.add(text)
        else:
            assert text in names
