"""What becomes of presence and relays when Redis or a replica is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from unittest.mock import Mock

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from actr import signaling_pb2 as pb
from actr_signaling.ledger.redis.address import Address
from actr_signaling.ledger.redis.ledger import RedisLedger
from actr_signaling.ledger.redis.line import Line
from actr_signaling.protocol.relay import parcels
from actr_signaling.protocol.relay.parcels import Parcel
from signaling_kit.client import Client, Deployment, relay_to, serve, texts
from signaling_kit.redis import RedisProcess
from signaling_kit.replica import ReplicaProcess

pytestmark = pytest.mark.service
Event = pb.PresenceEvent
Undelivered = pb.Undelivered


@pytest.fixture
async def two(own_redis: RedisProcess) -> AsyncIterator[Deployment]:
    """Two replicas on a Redis of their own."""
    async with AsyncExitStack() as stack:
        replicas = [
            await stack.enter_async_context(serve(redis_url=own_redis.url, grace=0.3))
            for _ in range(2)
        ]
        deployment = Deployment(replicas)
        yield deployment
        await deployment.close_clients()


async def until_delivered(source: Client, to: str) -> None:
    """Relay until the way is back, within the time that is promised for it."""
    async with asyncio.timeout(5):
        # Nothing tells a client that the way is back: it tries, as a peer does.
        while not (await source.relay(to, "again")).HasField("receipt"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def nothing_told(client: Client) -> None:
    """Nothing about presence has arrived before the answer to a question asked now."""
    await client.ask(heartbeat=pb.Heartbeat())
    assert not [m for m in client.kept if m.HasField("presence")]


async def nobody_left(client: Client) -> None:
    """Likewise nothing of an end; what is written again may be told again."""
    await client.ask(heartbeat=pb.Heartbeat())
    assert Event.LEAVE not in [m.presence.kind for m in client.kept if m.HasField("presence")]


async def test_flushed_data_is_written_again_and_nobody_seems_to_leave(
    two: Deployment, own_redis: RedisProcess
) -> None:
    a, b = await two.pair()
    own_redis.ask("FLUSHALL")
    await until_delivered(a, "b")
    late = await two.registered("late", 0)
    await late.sees("b")
    await late.sees("a")
    await b.event("late", "JOIN")
    await a.event("late", "JOIN")
    await asyncio.sleep(2)  # past the time that replicas have to write their own
    for client in (a, b):
        await nobody_left(client)
    assert texts((await late.subscribe()).present) == {
        "acme:a@1:default",
        "acme:b@1:default",
        "acme:late@1:default",
    }


async def test_data_flushed_again_and_again_while_others_register_loses_nobody(
    two: Deployment, own_redis: RedisProcess
) -> None:
    # 1. Ten actors on two replicas, and a watcher on each.  2. The data is flushed five times
    # while five more register.  3. No watcher hears of a leave, and all fifteen are there.
    watchers = [await two.registered(f"watcher@{n}", n) for n in range(2)]
    for watcher in watchers:
        await watcher.subscribe("acme:room")
    for number in range(10):
        await two.registered(f"room@{number}", number)
    for watcher in watchers:
        for number in range(10):
            await watcher.event(f"room@{number}", "JOIN")
    for number in range(10, 15):
        own_redis.ask("FLUSHALL")
        await two.registered(f"room@{number}", number)
        await asyncio.sleep(0.2)
    for watcher in watchers:
        for number in range(10, 15):
            await watcher.event(f"room@{number}", "JOIN")
    await asyncio.sleep(2)  # past the time that replicas have to write their own
    late = [await two.registered(f"late@{n}", n) for n in range(2)]
    for client in late:
        assert len((await client.subscribe("acme:room")).present) == 15
    for watcher in watchers:
        await nothing_told(watcher)


async def test_a_restarted_empty_redis_is_filled_again(
    two: Deployment, own_redis: RedisProcess
) -> None:
    # 1. a and b talk over two replicas.  2. Redis is killed: the relay between them is
    # reported, the one on a's own replica works.  3. Redis is back: so is everything.
    a, b = await two.pair()
    await two.registered("neighbour", 0)
    await a.event("neighbour", "JOIN")
    own_redis.kill()
    while (answer := await a.relay("b")).HasField("receipt"):
        pass
    assert answer.undelivered.reason in (Undelivered.EXPIRED, Undelivered.OFFLINE)
    assert (await a.relay("neighbour")).HasField("receipt")
    own_redis.start()
    await until_delivered(a, "b")
    await until_delivered(b, "a")
    await b.event("neighbour", "JOIN")
    await nothing_told(a)


async def test_relays_in_flight_when_redis_dies_are_reported(
    two: Deployment, own_redis: RedisProcess
) -> None:
    a, _ = await two.pair()
    own_redis.ask("CLIENT", "PAUSE", "60000")
    number = await a.send(relay=pb.Relay())  # nobody: answered at once
    await a.until(lambda m: m.reply_to == number)
    asked = asyncio.get_running_loop().time()
    answer = await a.relay("b", "lost?")
    assert answer.undelivered.reason == Undelivered.EXPIRED
    assert asyncio.get_running_loop().time() - asked < 4  # 2 s are promised; the machine is shared
    own_redis.kill()


async def test_old_data_that_redis_loads_brings_nobody_back(saving_redis: RedisProcess) -> None:
    # 1. Redis writes its data with b in it.  2. b leaves.  3. Redis is killed and loads the
    # old data.  4. Nobody sees b; whoever is here is still seen.
    async with serve(redis_url=saving_redis.url, grace=0.3) as replica:
        deployment = Deployment([replica])
        a, b = await deployment.pair()
        saving_redis.ask("SAVE")
        await b.ask(unregister=pb.Unregister())
        await a.event("b", "LEAVE")
        saving_redis.kill()
        saving_redis.start()
        c = await deployment.registered("c")
        await a.event("c", "JOIN")
        await nothing_told(a)
        assert texts((await c.subscribe()).present) == {
            "acme:a@1:default",
            "acme:c@1:default",
        }
        assert (await c.relay("a")).HasField("receipt")
        await deployment.close_clients()


async def test_who_leaves_while_redis_is_away_is_gone_when_it_is_back(
    two: Deployment, own_redis: RedisProcess
) -> None:
    a, b = await two.pair()
    own_redis.kill()
    await b.ask(unregister=pb.Unregister())
    own_redis.start()
    left = await a.event("b", "LEAVE")
    assert left.reason in (Event.CLOSED, Event.EXPIRED)


async def test_who_registers_while_redis_is_away_is_there_when_it_is_back(
    two: Deployment, own_redis: RedisProcess
) -> None:
    a, _ = await two.pair()
    own_redis.kill()
    c = await two.client(1)
    await c.authenticate("c")
    number = await c.send(register=pb.Register(id=c.id.to_wire() if c.id else None))
    own_redis.start()
    answer = await c.until(lambda m: m.reply_to == number)
    assert answer.HasField("registered")
    await a.event("c", "JOIN")


async def test_a_killed_replicas_peers_are_offline_at_once_and_expire(
    own_redis: RedisProcess,
) -> None:
    terms: dict[str, object] = {"lease": 3, "heartbeat": 1}
    async with (
        serve(redis_url=own_redis.url, **terms) as replica,
        ReplicaProcess(redis_url=own_redis.url, **terms) as doomed,
    ):
        deployment = Deployment([replica])
        b = await Client.registered_as(doomed.url, "b")
        a = await deployment.registered("a")
        await a.sees("b")
        doomed.kill()
        await b.closed()
        while (answer := await a.relay("b")).HasField("receipt"):
            pass
        assert answer.undelivered.reason in (Undelivered.OFFLINE, Undelivered.EXPIRED)
        left = await beating(a, a.event("b", "LEAVE"))
        assert left.reason == Event.EXPIRED
        await deployment.close_clients()


async def beating(client: Client, waiting: object) -> pb.PresenceEvent:
    """Wait, with a heartbeat now and then beside it."""
    task = asyncio.ensure_future(waiting)  # type: ignore[call-overload]
    while not task.done():
        await client.send(heartbeat=pb.Heartbeat())
        await asyncio.wait([task], timeout=0.5)
    event = await task
    assert isinstance(event, pb.PresenceEvent)
    return event


async def test_a_frozen_replica_is_answered_for_within_two_seconds(
    own_redis: RedisProcess,
) -> None:
    async with (
        serve(redis_url=own_redis.url) as replica,
        ReplicaProcess(redis_url=own_redis.url) as frozen,
    ):
        deployment = Deployment([replica])
        b = await Client.registered_as(frozen.url, "b")
        a = await deployment.registered("a")
        await a.sees("b")
        frozen.freeze()
        numbers = [await a.send(relay=relay_to("b", str(n))) for n in range(3)]
        for number in numbers:
            answer = await a.until(lambda m, n=number: m.reply_to == n)  # type: ignore[misc]
            assert answer.undelivered.reason == Undelivered.EXPIRED
        frozen.thaw()
        await until_delivered(a, "b")
        b.abort()
        await deployment.close_clients()


async def test_peers_move_on_a_drain_and_nobody_sees_them_leave(own_redis: RedisProcess) -> None:
    # 1. b is on a replica that is told to stop.  2. It gets a goaway and registers elsewhere.
    # 3. Watchers see an update, no leave.  4. The replica ends with status 0.
    async with (
        serve(redis_url=own_redis.url) as replica,
        ReplicaProcess(redis_url=own_redis.url, drain=5) as leaving,
    ):
        deployment = Deployment([replica])
        a = await deployment.registered("a")
        await a.subscribe()
        old = await Client.registered_as(leaving.url, "b", incarnation=5)
        await a.event("b", "JOIN")
        leaving.terminate()
        await old.next("goaway")
        await deployment.registered("b", incarnation=5)
        assert (await a.event("b", "UPDATE")).presence.incarnation == 5
        assert await old.closed() == 1012
        assert await leaving.exited() == 0
        await nothing_told(a)
        await deployment.close_clients()


async def test_who_closes_first_and_registers_elsewhere_after_has_not_left(
    own_redis: RedisProcess,
) -> None:
    async with (
        serve(redis_url=own_redis.url) as replica,
        ReplicaProcess(redis_url=own_redis.url, drain=5) as leaving,
    ):
        deployment = Deployment([replica])
        a = await deployment.registered("a")
        await a.subscribe()
        old = await Client.registered_as(leaving.url, "b", incarnation=5)
        await a.event("b", "JOIN")
        leaving.terminate()
        await old.next("goaway")
        await old.close()
        await asyncio.sleep(0.5)
        await deployment.registered("b", incarnation=5)
        await a.event("b", "UPDATE")
        assert await leaving.exited() == 0
        await nothing_told(a)
        await deployment.close_clients()


async def test_who_does_not_move_leaves_as_drained(own_redis: RedisProcess) -> None:
    async with (
        serve(redis_url=own_redis.url) as replica,
        ReplicaProcess(redis_url=own_redis.url, drain=0.5) as leaving,
    ):
        deployment = Deployment([replica])
        a = await deployment.registered("a")
        await a.subscribe()
        old = await Client.registered_as(leaving.url, "b")
        await a.event("b", "JOIN")
        leaving.terminate()
        left = await a.event("b", "LEAVE")
        assert left.reason == Event.DRAINED
        assert await old.closed() == 1012
        assert await leaving.exited() == 0
        await deployment.close_clients()


async def test_a_draining_replica_is_not_ready_and_turns_newcomers_away(
    own_redis: RedisProcess,
) -> None:
    async with ReplicaProcess(redis_url=own_redis.url, drain=5) as leaving:
        stays = await Client.registered_as(leaving.url, "b")
        leaving.terminate()
        await stays.next("goaway")
        host = leaving.url.removeprefix("ws://").removesuffix("/v1/ws")
        assert (await _status(host, "/readyz")) == 503
        assert (await _status(host, "/healthz")) == 200
        late = await Client.open_raw(leaving.url)
        assert await late.closed() == 1012
        await stays.close()
        assert await leaving.exited() == 0


async def _status(host: str, path: str) -> int:
    address, _, port = host.partition(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return int(line.split()[1])


async def test_wrong_data_under_our_keys_and_channels_ends_nothing(
    two: Deployment, own_redis: RedisProcess
) -> None:
    a, b = await two.pair()
    (other,) = (replica.service.server_id for replica in two.replicas[1:])
    wrong = ("inf", "nan", "-1", "1e300", "9" * 400, "x", "")
    for number in wrong:
        own_redis.ask("HSET", "actr:state", "version", number, "seen", number, "skipped", number)
        own_redis.ask("HSET", "actr:records", "acme:a@1:default", number)
        own_redis.ask("SET", "actr:fence:acme:c@1:default", number)
        own_redis.ask("PUBLISH", "actr:presence", number)
        own_redis.ask("PUBLISH", f"actr:replica:{other}", number)
    own_redis.ask("HSET", "actr:records", "junk", "junk")
    await until_delivered(a, "b")
    await until_delivered(b, "a")
    c = await two.registered("c", 0)
    assert (await c.relay("b")).HasField("receipt")
    own_redis.ask("DEL", "actr:state")
    own_redis.ask("SET", "actr:state", "a string")
    own_redis.ask("DEL", "actr:state")
    await until_delivered(a, "b")


async def test_a_batch_that_holds_no_messages_ends_nothing(
    two: Deployment, own_redis: RedisProcess
) -> None:
    a, b = await two.pair()
    identity = {"manufacturer": "acme", "name": "tool", "instance": "1", "realm": "default"}
    async with (
        connect(two.url(1), subprotocols=[Subprotocol("actr.v1.json")]) as tool,
        Line(Address(own_redis.url)) as line,
    ):
        await tool.recv()
        await tool.send(json.dumps({"id": 1, "authenticate": {"id": identity}}))
        await tool.recv()
        await tool.send(json.dumps({"id": 2, "register": {"id": identity}}))
        assert "registered" in json.loads(await tool.recv())
        server = two.replicas[1].service.server_id
        parcel = Parcel(1, "acme:tool@1:default", "acme:x@1:default", b"\xff" * 9)
        batch = parcels.pack("nobody-but-of-16", [parcels.pack_item(parcel)])
        await line.run([("PUBLISH", f"actr:replica:{server}", batch)])
        await until_delivered(a, "tool")
        assert "relayed" in json.loads(await tool.recv())
    assert (await a.relay("b")).HasField("receipt")
    assert (await b.relay("a")).HasField("receipt")


async def test_a_store_that_answers_nonsense_ends_its_link_and_not_the_service() -> None:
    came: asyncio.Queue[int] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A number to whatever is asked."""
        came.put_nowait(1)
        try:
            while await reader.read(65536):
                writer.write(b":7\r\n" * 8)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = Address(f"redis://127.0.0.1:{port}/0")
    ledger = RedisLedger(Mock(), address=address, replica="r" * 16, lease=5.0)
    async with server, ledger:
        for _ in range(6):  # two for each link
            async with asyncio.timeout(60):
                await came.get()
        assert not ledger.is_ready
