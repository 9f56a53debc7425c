"""Wires between two actors through a replica, from outside: who is joined, what is bounded."""

from __future__ import annotations

import asyncio
import resource
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from actr import signaling_pb2 as pb
from actr_signaling.hub import wires
from actr_signaling.protocol.relay.wires import FRAME_COST, GREETING_FRAMES
from actr_signaling.web.server import Replica
from signaling_kit.client import PATIENCE, Client, actor, serve
from signaling_kit.redis import RedisProcess

pytestmark = pytest.mark.service
MEBIBYTE = 1024 * 1024


@asynccontextmanager
async def relaying(**settings: object) -> AsyncIterator[Replica]:
    async with serve(
        **{"relayed_wires": 8, "relayed_bytes_per_second": 1e9, **settings}
    ) as replica:
        yield replica


async def ask(client: Client, to: str, ticket: str) -> pb.ServerMessage:
    step = pb.Negotiate(connection_id=ticket, wire=pb.RelayedWire())
    return await client.ask(relay=pb.Relay(to=actor(to).to_wire(), negotiate=step))


async def show(replica: Replica, ticket: str | bytes) -> ClientConnection:
    """A socket that has shown its ticket."""
    url = replica.url.replace("/v1/ws", "/v1/wire")
    socket = await connect(url, compression=None, ping_interval=None)
    with suppress(ConnectionClosed):  # it may be refused before
        await socket.send(ticket.encode() if isinstance(ticket, str) else ticket)
    return socket


async def close_of(socket: ClientConnection) -> tuple[int | None, str | None]:
    async with asyncio.timeout(PATIENCE):
        with suppress(ConnectionClosed):
            while True:
                await socket.recv()
        await socket.wait_closed()
    return socket.close_code, socket.close_reason


@asynccontextmanager
async def pair(replica: Replica) -> AsyncIterator[tuple[ClientConnection, ClientConnection]]:
    """The two ends of a wire of a with b."""
    a = await Client.registered_as(replica.url, "a")
    b = await Client.registered_as(replica.url, "b")
    ticket = secrets.token_hex(16)
    answer = await ask(a, "b", ticket)
    assert answer.HasField("receipt"), answer
    told = await b.next("relayed")
    assert told.negotiate.WhichOneof("body") == "wire"
    assert getattr(told, "from") == actor("a").to_wire()
    dialler = await show(replica, ticket)
    listener = await show(replica, told.negotiate.connection_id)
    yield dialler, listener
    for socket in (dialler, listener):
        socket.transport.abort()


async def test_what_one_end_says_comes_out_at_the_other_message_by_message() -> None:
    async with relaying() as replica, pair(replica) as (dialler, listener):
        await dialler.send(b"hello")
        await dialler.send(b"")
        assert await listener.recv() == b"hello"
        assert await listener.recv() == b""
        await listener.send(b"\xff" * 60_000)
        assert await dialler.recv() == b"\xff" * 60_000
        page = await metrics(replica)
        assert page["actr_signaling_wires"] == 1
        assert page["actr_signaling_wires_opened_total"] == 1
        assert page["actr_signaling_wires_bytes_total"] == 60_005


async def test_what_the_dialler_says_before_the_other_end_comes_waits_for_it() -> None:
    async with relaying() as replica:
        a = await Client.registered_as(replica.url, "a")
        await Client.registered_as(replica.url, "b")
        ticket = secrets.token_hex(16)
        await ask(a, "b", ticket)
        dialler = await show(replica, ticket)
        for number in range(100):
            await dialler.send(str(number).encode())
        listener = await show(replica, ticket)
        assert [await listener.recv() for _ in range(100)] == [str(n).encode() for n in range(100)]


async def test_the_end_of_one_end_is_the_end_of_the_other() -> None:
    async with relaying() as replica, pair(replica) as (dialler, listener):
        dialler.transport.abort()
        assert (await close_of(listener))[0] == wires.LEFT
        assert (await metrics(replica))["actr_signaling_wires"] == 0


async def test_a_third_party_gets_no_end_with_a_ticket_that_is_taken_or_unknown() -> None:
    async with relaying() as replica, pair(replica) as (dialler, listener):
        a = await Client.registered_as(replica.url, "c")
        await Client.registered_as(replica.url, "d")
        ticket = secrets.token_hex(16)
        await ask(a, "d", ticket)
        ends = [await show(replica, ticket) for _ in range(2)]
        assert await close_of(await show(replica, ticket)) == (4403, "another wire has this ticket")
        for noise in (secrets.token_hex(16), b"", b"\xff" * 32, b"x" * 1000):
            code, why = await close_of(await show(replica, noise))
            assert (code, why) == (
                4403,
                "nobody has asked this replica for a wire of this ticket",
            )
        await ends[0].send(b"still here")
        assert await ends[1].recv() == b"still here"
        await dialler.send(b"and so are we")
        assert await listener.recv() == b"and so are we"


async def test_who_is_not_registered_or_asks_with_what_is_no_ticket_opens_nothing() -> None:
    async with relaying() as replica:
        stranger = await Client.open(replica.url)
        assert (await ask(stranger, "b", secrets.token_hex(16))).error.code == 4401
        a = await Client.registered_as(replica.url, "a")
        for bad in ("", "ABCD" * 8, "0" * 31, "0" * 33, "ü" * 32):
            assert (await ask(a, "b", bad)).error.code == 4400
        assert (await metrics(replica))["actr_signaling_wires"] == 0


async def test_an_ask_that_reaches_nobody_opens_nothing() -> None:
    async with relaying(relayed_wires=1) as replica:
        a = await Client.registered_as(replica.url, "a")
        await Client.registered_as(replica.url, "acme:c@1:other", visibility=pb.HIDDEN)
        reasons = {"b": pb.Undelivered.UNKNOWN}
        reasons |= {f"acme:{who}@1:other": pb.Undelivered.NOT_ALLOWED for who in ("c", "d")}
        for to, reason in reasons.items():
            ticket = secrets.token_hex(16)
            assert (await ask(a, to, ticket)).undelivered.reason == reason
            assert (await close_of(await show(replica, ticket)))[0] == 4403
        assert (await metrics(replica))["actr_signaling_wires"] == 0


async def test_an_ask_that_could_not_be_handed_over_opens_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with relaying() as replica:
        a = await Client.registered_as(replica.url, "a")
        await Client.registered_as(replica.url, "b")
        target = type(replica.service.hub.here[str(actor("b"))])
        monkeypatch.setattr(target, "pass_on_parts", lambda *_: False)  # as of a slow reader
        ticket = secrets.token_hex(16)
        answer = await ask(a, "b", ticket)
        assert answer.undelivered.reason == pb.Undelivered.OVERLOADED
        assert (await metrics(replica))["actr_signaling_wires"] == 0
        assert (await close_of(await show(replica, ticket)))[0] == 4403


async def test_a_refusal_tells_nobody_where_an_actor_is_that_it_may_not_reach(
    redis_server: RedisProcess,
) -> None:
    shared = {"redis_url": redis_server.url, "redis_prefix": f"t{secrets.token_hex(8)}"}
    async with relaying(**shared) as here, relaying(**shared) as there:
        a = await Client.registered_as(here.url, "a")
        neighbour = await Client.registered_as(here.url, "acme:c@1:other")
        await Client.registered_as(there.url, "acme:b@1:other")
        await neighbour.sees("acme:b@1:other")
        for who in ("acme:b@1:other", "acme:nobody@1:other"):
            answer = await ask(a, who, secrets.token_hex(16))
            assert answer.undelivered.reason == pb.Undelivered.NOT_ALLOWED


async def test_a_service_that_relays_none_says_so_to_the_actor_and_at_the_door() -> None:
    async with serve() as replica:
        a = await Client.registered_as(replica.url, "a")
        await Client.registered_as(replica.url, "b")
        error = (await ask(a, "b", secrets.token_hex(16))).error
        assert (error.code, error.message) == (4403, "this service relays no wires")
        code, why = await close_of(await show(replica, secrets.token_hex(16)))
        assert (code, why) == (4403, "this service relays no wires")


async def test_an_actor_on_another_replica_is_refused_in_words(redis_server: RedisProcess) -> None:
    shared = {"redis_url": redis_server.url, "redis_prefix": f"t{secrets.token_hex(8)}"}
    async with relaying(**shared) as here, relaying(**shared) as there:
        a = await Client.registered_as(here.url, "a")
        await Client.registered_as(there.url, "b")
        await a.sees("b")
        error = (await ask(a, "b", secrets.token_hex(16))).error
        assert error.code == 4403
        assert error.message == "no wire is relayed to an actor on another replica"
        page = await metrics(here)
        assert page['actr_signaling_wires_refused_total{cause="another replica"}'] == 1


async def test_one_end_alone_is_let_go_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actr_signaling.protocol.relay.wires.WAIT", 0.3)
    async with relaying() as replica:
        a = await Client.registered_as(replica.url, "a")
        await Client.registered_as(replica.url, "b")
        ticket = secrets.token_hex(16)
        await ask(a, "b", ticket)
        code, why = await close_of(await show(replica, ticket))
        assert (code, why) == (4408, "the other end of the wire has not come")
        assert (await metrics(replica))["actr_signaling_wires"] == 0


async def test_who_shows_no_ticket_is_let_go_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "WAIT", 0.2)
    async with relaying() as replica:
        socket = await connect(replica.url.replace("/v1/ws", "/v1/wire"), compression=None)
        assert await close_of(socket) == (4408, "no ticket came in time")


async def test_a_wire_on_which_nothing_comes_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "WAIT", 0.1)
    monkeypatch.setattr(wires, "IDLE", 0.3)
    async with relaying() as replica, pair(replica) as (dialler, listener):
        codes = {(await close_of(dialler))[0], (await close_of(listener))[0]}
        assert codes <= {4408, wires.LEFT}
        assert 4408 in codes


async def test_text_ends_a_wire() -> None:
    async with relaying() as replica, pair(replica) as (dialler, listener):
        await dialler.send("text")
        assert (await close_of(dialler))[0] == 4400
        assert (await close_of(listener))[0] == wires.LEFT


async def test_the_bounds_over_all_and_of_an_address_are_answered_in_words() -> None:
    async with relaying(relayed_wires=1) as replica, pair(replica):
        a = await Client.registered_as(replica.url, "c")
        await Client.registered_as(replica.url, "d")
        error = (await ask(a, "d", secrets.token_hex(16))).error
        assert (error.code, error.message) == (4429, wires._WORDS[wires.Refused.FULL][1])
        for _ in range(300):
            replica.service.hub.wires.table.enter("127.0.0.1")
        assert (await close_of(await show(replica, "0" * 32)))[0] == 4429


async def test_a_reader_that_stands_still_holds_the_writer_and_costs_little_memory() -> None:
    async with relaying() as replica, pair(replica) as (dialler, listener):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        listener.transport.pause_reading()
        sent = 0

        async def flood() -> None:
            nonlocal sent
            while sent < 256 * MEBIBYTE:
                await dialler.send(bytes(60_000))
                sent += 60_000

        flooding = asyncio.create_task(flood())
        hub = replica.service.hub
        passed = -1
        while hub.wires.passed_bytes != passed or not passed:  # until nothing moves any more
            passed = hub.wires.passed_bytes
            await asyncio.sleep(0.5)
        assert not flooding.done()
        assert passed < 16 * MEBIBYTE  # of the kernels' buffers, and little of the process's
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 32 * 1024
        # Others are served meanwhile, and the wire goes on when it is read.
        c = await Client.registered_as(replica.url, "c")
        assert (await c.ask(heartbeat=pb.Heartbeat())).HasField("heartbeat_ack")
        listener.transport.resume_reading()
        got = 0
        while got < sent // 2:
            got += len(await listener.recv())
        flooding.cancel()


async def test_a_direction_is_as_fast_as_it_may_be() -> None:
    async with relaying(relayed_bytes_per_second=100_000) as replica, pair(replica) as pairs:
        dialler, listener = pairs
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def feed() -> None:
            for _ in range(30):
                await dialler.send(bytes(10_000))

        feeding = asyncio.create_task(feed())
        for _ in range(30):
            await listener.recv()
        await feeding
        assert loop.time() - began >= 1.5  # 300 kB, of which 100 come at once


async def test_frames_in_which_nothing_is_are_no_faster() -> None:
    rate = 100 * FRAME_COST
    async with relaying(relayed_bytes_per_second=rate) as replica, pair(replica) as pairs:
        dialler, listener = pairs
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(100):
            await dialler.send(b"")
            await dialler.pong()
        await dialler.send([b"", b"", b"la", b"st"])  # in four frames
        while await listener.recv() != b"last":
            pass
        assert loop.time() - began >= 0.9  # some 200 frames, of which 100 come at once


async def test_who_sends_much_before_the_ticket_is_too_fast() -> None:
    async with relaying() as replica:
        url = replica.url.replace("/v1/ws", "/v1/wire")
        socket = await connect(url, compression=None, ping_interval=None)
        with suppress(ConnectionClosed):
            for _ in range(GREETING_FRAMES + 1):
                await socket.pong()
        assert await close_of(socket) == (4429, "over 16 frames before the ticket")


async def metrics(replica: Replica) -> dict[str, float]:
    url = replica.url.replace("ws://", "http://").replace("/v1/ws", "/metrics")
    async with httpx.AsyncClient() as http:
        text = (await http.get(url)).text
    rows = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in rows}
