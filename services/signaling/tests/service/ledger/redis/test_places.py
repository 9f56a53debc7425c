"""A store of several servers: the primary dies, hangs, or is replaced, under load."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actr import signaling_pb2 as pb
from actr_signaling.ledger.redis.address import Address
from actr_signaling.ledger.redis.answers import StoreError
from actr_signaling.ledger.redis.line import RefusedError
from actr_signaling.ledger.redis.places import primary
from actr_signaling.tasks import Tasks
from signaling_kit.client import Client, Deployment, relay_to, serve, texts
from signaling_kit.several_redis import ClusterServers, SentinelServers, Servers, until
from tests.skips import lacking

pytestmark = pytest.mark.service
AT_ONCE = 8
ALL = {"acme:a@1:default", "acme:b@1:default"}


@pytest.fixture(params=[SentinelServers, ClusterServers])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Servers]:
    """Three Sentinels with their servers, then a Cluster."""
    with started(request.param(tmp_path)) as servers:
        yield servers


def started(servers: Any) -> Any:
    if shutil.which("redis-server") is None:
        pytest.skip(lacking("redis-server"))
    return servers


class Load:
    """Relays from one actor to another on the other replica, several in flight at any time."""

    def __init__(self, two: Deployment, a: Client, b: Client) -> None:
        self.two = two
        self.a = a
        self.b = b
        self.answers: dict[str, pb.ServerMessage] = {}
        self.arrived: set[str] = set()
        self._told = asyncio.Event()

    async def send(self) -> None:
        for start in range(0, 1_000_000, AT_ONCE):
            asked = [str(number) for number in range(start, start + AT_ONCE)]
            numbers = [await self.a.send(relay=relay_to("b", text)) for text in asked]
            for text, number in zip(asked, numbers, strict=True):
                self.answers[text] = await self.a.until(lambda m, n=number: m.reply_to == n)  # type: ignore[misc]
            self._told.set()
            # What is in flight is what matters, and there may be no more than 500 a second.
            await asyncio.sleep(AT_ONCE / 400)

    async def receive(self) -> None:
        while True:
            relayed = await self.b.next("relayed")
            self.arrived.add(relayed.negotiate.candidate.candidate)

    async def delivers(self) -> None:
        """Return when what was sent from now on is delivered again."""
        known = len(self.answers)
        while not any(a.HasField("receipt") for a in list(self.answers.values())[known:]):
            self._told.clear()
            await self._told.wait()

    def check(self) -> None:
        """What has a receipt has arrived, what is offline has not, and nobody seemed to leave."""
        delivered = {text for text, answer in self.answers.items() if answer.HasField("receipt")}
        offline = {
            text
            for text, answer in self.answers.items()
            if answer.undelivered.reason == pb.Undelivered.OFFLINE
        }
        assert delivered <= self.arrived
        assert not offline & self.arrived
        for client in (self.a, self.b):
            kinds = [m.presence.kind for m in client.kept if m.HasField("presence")]
            assert pb.PresenceEvent.LEAVE not in kinds


@asynccontextmanager
async def loaded(**settings: object) -> AsyncIterator[Load]:
    """Two replicas, and relays between them until the block ends."""
    terms: dict[str, object] = {"grace": 0.3, "lease": 120, **settings}
    async with serve(**terms) as first, serve(**terms) as second:
        two = Deployment([first, second])
        load = Load(two, *await two.pair())
        async with Tasks("load") as tasks:
            tasks.start("send", load.send())
            tasks.start("receive", load.receive())
            await load.delivers()
            yield load
        load.check()
        await two.close_clients()


async def replaced(servers: Servers, old: int) -> None:
    """Return when another server takes writes."""
    await asyncio.to_thread(until, lambda: bool(servers.writable() - {old}))


async def is_right(load: Load, late: str = "late") -> None:
    """Relays arrive, newcomers are seen and see all, within the time that is promised."""
    async with asyncio.timeout(5):
        await load.delivers()
        newcomer = await load.two.registered(late, 1)
        assert texts((await newcomer.subscribe()).present) >= ALL
        other = await load.two.registered(f"{late}-other", 0)
        await other.sees(late)
        assert (await other.relay("b")).HasField("receipt")


@pytest.mark.parametrize("fault", ["kill", "freeze"])
async def test_when_the_primary_dies_or_hangs_all_goes_on_at_the_next(
    servers: Any, fault: str
) -> None:
    # 1. Relays flow over the store.  2. Its primary dies, or hangs.  3. Another one is made; what
    # was in flight is told as such, and presence is right.  4. The old one hangs no more.
    async with loaded(redis_url=servers.url) as load:
        (old,) = servers.writable()
        getattr(servers, fault)(old)
        await replaced(servers, old)
        await is_right(load)
        if fault == "freeze":
            servers.thaw()
            await is_right(load, "afterwards")


async def test_a_healthy_primary_that_is_replaced_is_left_though_it_does_not_know(
    tmp_path: Path,
) -> None:
    # 1. With passwords everywhere.  2. Sentinels make another one the primary; the old one takes
    # writes for eight seconds more.  3. A replica that starts now is with the others.
    password = tmp_path / "password"
    password.write_text("s3cret")
    with started(SentinelServers(tmp_path, password="s3cret")) as servers:
        settings: dict[str, object] = {
            "redis_url": servers.url,
            "redis_password_file": password,
            "redis_sentinel_password_file": password,
        }
        async with loaded(**settings) as load:
            (old,) = servers.writable()
            servers.fail_over()
            await asyncio.to_thread(until, lambda: old not in servers.named())
            await is_right(load)
            async with serve(**settings) as third, asyncio.timeout(5):
                c = await Client.registered_as(third.url, "c")
                await c.sees("b")
                assert (await c.relay("b")).HasField("receipt")
                c.abort()
        known = Address(servers.url, password="s3cret", sentinel_password="s3cret")
        for address, says in (
            (replace(known, url=f"{servers.url}s"), "know no primary of the name"),
            (replace(known, sentinel_password=""), "ACTR_SIGNALING__REDIS_SENTINEL_PASSWORD_FILE"),
        ):
            with pytest.raises(RefusedError, match=says):
                await primary(address, "actr")


async def test_where_nobody_answers_it_says_so_and_not_which_password_it_had() -> None:
    for form in ("sentinel", "cluster"):
        address = Address(f"redis+{form}://a:s3cret@127.0.0.1:1/main")
        with pytest.raises(StoreError, match="none of those in REDIS_URL") as failed:
            await primary(address, "{actr}")
        assert "s3cret" not in str(failed.value)


ALLOWED = (
    "-@all +ssubscribe +spublish +cluster|slots +ping +info +script|load +evalsha +time +get +set "
    "+del +pexpire +hget +hmget +hset +hdel +hvals +zadd +zrem +zrangebyscore"
)


async def test_a_slot_that_moves_to_another_node_is_followed(tmp_path: Path) -> None:
    # 1. Signaling has a user that may do what it needs.  2. An operator moves the slot of all
    # its keys.  3. Relays and presence are on the other node.
    (tmp_path / "password").write_text("s3cret")
    with started(ClusterServers(tmp_path)) as servers:
        for port in servers.servers:
            user = "on >s3cret resetkeys ~{actr}:* resetchannels &{actr}:*"
            servers.ask(port, "ACL", "SETUSER", "signaling", *user.split(), *ALLOWED.split())
        settings: dict[str, object] = {
            "redis_url": servers.url,
            "redis_user": "signaling",
            "redis_password_file": tmp_path / "password",
        }
        async with loaded(**settings) as load:
            (old,) = servers.writable()
            await asyncio.to_thread(servers.move_slot)
            await replaced(servers, old)
            await is_right(load)
        for port in servers.servers:
            assert servers.ask(port, "ACL", "LOG") == ""
