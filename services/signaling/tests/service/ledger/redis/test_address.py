"""Redis as it is deployed: TLS, a user with a password, and a list of what this user may do."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from actr import signaling_pb2 as pb
from actr_signaling.ledger.redis.address import Address
from actr_signaling.ledger.redis.line import Line, RefusedError
from signaling_kit.client import PATIENCE, Client, Deployment, serve
from signaling_kit.redis import SecureRedis
from signaling_kit.replica import ReplicaProcess

pytestmark = pytest.mark.service
OPERATOR = {"config|resetstat", "acl|log", "acl|getuser", "client|kill"}
UNLISTED = {"auth"}
"""Commands that every user may send."""


def address_of(server: SecureRedis, **other: Any) -> Address:
    password = (server.secrets / "store/password").read_text()
    given = {"password": password, "ca_file": server.secrets / "store/ca.pem", **other}
    return Address(server.url, "signaling", **given)


def listed(server: SecureRedis) -> set[str]:
    """Commands that signaling may send."""
    answer = server.ask("ACL", "GETUSER", "signaling").splitlines()
    words = answer[answer.index("commands") + 1].split()
    assert words[0] == "-@all"
    return {word.removeprefix("+") for word in words[1:]}


def sent(server: SecureRedis) -> set[str]:
    """Commands that anybody has sent, and that scripts have run."""
    rows = server.ask("INFO", "commandstats").splitlines()
    names = {row.partition(":")[0] for row in rows if row.startswith("cmdstat_")}
    return {name.removeprefix("cmdstat_") for name in names}


async def use_all(server: SecureRedis) -> None:
    """Two replicas, and all that they write: coming, loads, relays, leaving, ends, a lost store."""
    async with AsyncExitStack() as stack:
        settings = {"grace": 0.3, "lease": 2, "heartbeat": 0.5, **server.settings}
        replicas = [await stack.enter_async_context(serve(**settings)) for _ in range(2)]
        two = Deployment(replicas)
        a, b = await two.pair()
        await a.subscribe()
        assert (await a.relay("b")).HasField("receipt")
        await b.ask(heartbeat=pb.Heartbeat(load=pb.Load(mailbox_backlog=500)))
        await a.event("b", "UPDATE")
        c = await two.registered("c", 1)
        await a.event("c", "JOIN")
        await c.ask(unregister=pb.Unregister())
        await a.event("c", "LEAVE")
        b.abort()
        await a.event("b", "LEAVE")
        await replicas[1].service.ledger.flush()
        await two.close_clients()


async def test_the_list_of_signaling_s_commands_is_what_it_sends_and_no_more(
    secure_redis: SecureRedis,
) -> None:
    secure_redis.ask("CONFIG", "RESETSTAT")
    await use_all(secure_redis)
    assert secure_redis.ask("ACL", "LOG") == ""
    assert sent(secure_redis) - UNLISTED - OPERATOR == listed(secure_redis)


@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("CONFIG", "GET", "*"),
        ("EVAL", "return 1", 0),
        ("SCRIPT", "FLUSH"),
        ("ACL", "LIST"),
        ("GET", "another:key"),
        ("PUBLISH", "another:channel", "x"),
    ],
    ids=lambda command: " ".join(map(str, command)),
)
async def test_what_signaling_does_not_need_is_refused(
    secure_redis: SecureRedis, command: tuple[str | int, ...]
) -> None:
    took: list[float] = []
    async with Line(address_of(secure_redis), took=took.append) as line:
        with pytest.raises(RefusedError, match="does not allow the user 'signaling'"):
            await line.run([command])
        assert await line.run([("GET", "actr:x")]) == [None]
    assert len(took) == 1, "what was refused took no round trip that counts"


@pytest.mark.parametrize("user", ["default", "health", "signaling"])
async def test_nobody_else_comes_in_or_does_more_than_a_ping(
    secure_redis: SecureRedis, user: str
) -> None:
    answers = {
        name: secure_redis.ask_as(user, "any", *command)
        for name, command in {"ping": ["PING"], "get": ["GET", "actr:x"]}.items()
    }
    assert (answers["ping"] == "PONG") is (user == "health")
    assert answers["get"].startswith(("NOPERM", "NOAUTH"))


def another_authority(server: SecureRedis, directory: Path) -> Path:
    other = SecureRedis(directory / "other")
    other.make_secrets()
    return other.secrets / "store/ca.pem"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("password", "ACTR_SIGNALING__REDIS_PASSWORD_FILE"),
        ("nobody", "does not let this service in"),
        ("authority", "ACTR_SIGNALING__REDIS_CA_FILE"),
        ("no authority", "ACTR_SIGNALING__REDIS_CA_FILE"),
    ],
)
async def test_who_may_not_come_in_says_so_once_and_goes_on(
    secure_redis: SecureRedis, tmp_path: Path, wrong: str, says: str
) -> None:
    # 1. It starts, is not ready, and tries again and again.  2. It says once what is wrong.
    settings = dict(secure_redis.settings)
    match wrong:
        case "password":
            settings["redis_password_file"] = secure_redis.secrets / "turn/secret"
        case "nobody":
            del settings["redis_user"], settings["redis_password_file"]
        case "authority":
            settings["redis_ca_file"] = another_authority(secure_redis, tmp_path)
        case _:
            del settings["redis_ca_file"]
    async with ReplicaProcess(**settings) as replica:
        client = await Client.open(replica.url)
        await client.authenticate("a")
        before = attempts(secure_redis)
        async with asyncio.timeout(PATIENCE):
            while attempts(secure_redis) < before + 3:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        client.abort()
        replica.terminate()
        assert await replica.exited() == 0
    said = [json.loads(line) for line in replica.log.splitlines()]
    refused = [one["why"] for one in said if one["event"].startswith("the store")]
    assert len(refused) == 1
    assert says in refused[0]
    assert b"Traceback" not in replica.log
    password = (secure_redis.secrets / "store/password").read_bytes()
    assert password not in replica.log


def attempts(server: SecureRedis) -> int:
    """Connections that came, its own to ask among them."""
    rows = server.ask("INFO", "stats").splitlines()
    return sum(int(row.partition(":")[2]) for row in rows if row.startswith("total_connections"))


async def test_a_password_that_is_taken_away_ends_nothing_and_is_good_again_when_it_is_back(
    secure_redis: SecureRedis,
) -> None:
    password = (secure_redis.secrets / "store/password").read_text()
    async with serve(**secure_redis.settings) as replica:
        client = await Client.registered_as(replica.url, "a")
        secure_redis.ask("ACL", "SETUSER", "signaling", "resetpass", ">another")
        secure_redis.ask("CLIENT", "KILL", "USER", "signaling")
        await until(lambda: not replica.service.ledger.is_ready)
        assert (await client.ask(heartbeat=pb.Heartbeat())).HasField("heartbeat_ack")
        secure_redis.ask("ACL", "SETUSER", "signaling", f">{password}")
        await until(lambda: replica.service.ledger.is_ready)
        other = await Client.registered_as(replica.url, "b")
        assert (await client.relay("b")).HasField("receipt")
        other.abort()


async def until(holds: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def test_secrets_are_made_once_and_readable_by_their_owner_only(secure_redis: SecureRedis) -> None:
    files = [path for path in secure_redis.secrets.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    assert secure_redis.make_secrets() == ""
    assert {path: path.read_bytes() for path in files} == before
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert not list(secure_redis.secrets.rglob("ca.key"))


def test_an_address_does_not_show_its_password() -> None:
    assert "s3cret" not in repr(Address("redis://a:s3cret@redis/0", "a", "s3cret"))
