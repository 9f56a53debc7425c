"""The signaling client against the real service on memory, each in its own process."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import pytest

from actr_peer.errors import BusyError, ConfigError, LimitError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling.presence import (
    Change,
    Load,
    Registration,
    SignalingState,
    Visibility,
)
from actr_peer.protocol.webrtc.negotiation import Bye, Candidate, NegotiateMessage, Offer
from actr_peer.wire.signaling.client import MAX_FOUND, SignalingClient
from peer_kit.fakes import SignalingRecorder
from peer_kit.signaling import SignalingService

pytestmark = [pytest.mark.service, pytest.mark.timeout(60)]

SECRET = b"a realm secret for tests"
STEP = NegotiateMessage("c", 1, Bye("enough"))
_numbers = count(1)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[SignalingService]:
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    async with SignalingService(path) as running:
        yield running


def some_id(name: str) -> ActrId:
    return ActrId("acme", f"{name}{next(_numbers)}", "1")


def make_client(
    service: SignalingService,
    who: ActrId,
    sink: SignalingRecorder | None = None,
    *,
    secret: bytes | None = SECRET,
    incarnation: int = 1,
    visibility: Visibility = Visibility.REALM,
    takes_over: bool = True,
) -> SignalingClient:
    sink = sink or SignalingRecorder()
    registration = Registration(
        id=who,
        incarnation=incarnation,
        ws_address="ws://10.1.2.3:9100/v1/wire",
        services=(("demo.Chat", "ab12"),),
        metadata={"colour": "blue"},
        visibility=visibility,
        takes_over=takes_over,
    )
    return SignalingClient(
        url=service.url,
        registration=lambda _: registration,
        secret=secret,
        relayed=sink.relayed,
        sink=sink,
        load=Load,
    )


async def test_two_peers_find_each_other_and_negotiate(service: SignalingService) -> None:
    alice, bob = some_id("alice"), some_id("bob")
    at_alice, at_bob = SignalingRecorder(), SignalingRecorder()
    async with make_client(service, alice, at_alice, incarnation=5) as a:
        assert await a.subscribe(bob.actr_type) == []
        async with make_client(service, bob, at_bob, incarnation=6) as b:
            await at_alice.until(lambda: bool(at_alice.events))
            (join,) = at_alice.events
            assert (join.kind, join.presence.id, join.presence.incarnation) == (
                Change.JOIN,
                bob,
                6,
            )
            assert a.find(bob) == join.presence == await a.lookup(bob)
            seen = await b.lookup(alice)
            assert seen is not None
            assert seen.ws_address == "ws://10.1.2.3:9100/v1/wire"
            assert dict(seen.metadata) == {"colour": "blue"}
            found = await a.discover(service="demo.Chat")
            assert {alice, bob} == {presence.id for presence in found}
            offer = NegotiateMessage("c", 1, Offer("v=0", {"0": "camera"}))
            trickled = [NegotiateMessage("c", 1, Candidate(f"{n}", "0")) for n in range(20)]
            await asyncio.gather(*(a.relay(bob, step) for step in (offer, *trickled)))
            assert at_bob.relays == [(alice, step) for step in (offer, *trickled)]
        await at_alice.until(lambda: len(at_alice.events) == 2)
        assert at_alice.events[1].kind is Change.LEAVE
        with pytest.raises(UnreachableError, match="offline"):
            await a.relay(bob, STEP)


async def test_a_relay_to_nobody_is_said(service: SignalingService) -> None:
    async with make_client(service, some_id("alice")) as client:
        with pytest.raises(UnreachableError, match="knows no such actor"):
            await client.relay(some_id("nobody"), STEP)


async def test_a_relay_that_is_too_long_is_refused_alone(service: SignalingService) -> None:
    alice = some_id("alice")
    async with make_client(service, alice) as client:
        with pytest.raises(LimitError, match="SDP"):  # never sent
            await client.relay(alice, NegotiateMessage("c", 1, Offer("x" * 50_000)))
        with pytest.raises(UnreachableError, match="connection_id"):
            await client.relay(alice, NegotiateMessage("c" * 300, 1, Bye("")))
        await client.relay(alice, STEP)


async def test_all_of_a_type_are_found_however_many_there_are(service: SignalingService) -> None:
    many = [ActrId("acme", "many", str(number)) for number in range(2 * MAX_FOUND + 9)]
    at_asker = SignalingRecorder()
    async with AsyncExitStack() as stack:
        asker = await stack.enter_async_context(make_client(service, many[0], at_asker))
        for each in many[1:]:
            await stack.enter_async_context(make_client(service, each))
        for more in ({}, {"service": "demo.Chat"}, {"stickiness": "kitchen"}):
            found = await asker.discover("acme:many", limit=1000, timeout=20, **more)
            assert len(found) == len(many)
            assert {presence.id for presence in found} == {*many}
        some = await asker.discover("acme:many", limit=MAX_FOUND + 1, timeout=20)
        assert len({presence.id for presence in some}) == MAX_FOUND + 1
        shown = {presence.id for presence in await asker.subscribe("acme:many")}
        # The snapshot has what watchers know: the last to come may be told of just after it.
        await at_asker.until(lambda: shown | {e.presence.id for e in at_asker.events} == {*many})


async def test_a_hidden_actor_is_reached_by_who_knows_it(service: SignalingService) -> None:
    hidden = some_id("hidden")
    sink = SignalingRecorder()
    async with (
        make_client(service, hidden, sink, visibility=Visibility.HIDDEN),
        make_client(service, some_id("alice")) as client,
    ):
        assert await client.lookup(hidden) is None
        await client.relay(hidden, STEP)
        await sink.until(lambda: bool(sink.relays))


@pytest.mark.parametrize("secret", [None, b"another secret, also long"])
async def test_without_the_realm_secret_nobody_gets_in(
    service: SignalingService, secret: bytes | None
) -> None:
    with pytest.raises(ConfigError, match="realm secret"):
        await make_client(service, some_id("eve"), secret=secret).__aenter__()


async def test_in_development_mode_no_secret_is_asked_for() -> None:
    async with (
        SignalingService() as open_service,
        make_client(open_service, some_id("a"), secret=None),
    ):
        pass


async def test_a_newer_process_takes_the_identity_and_says_so(
    service: SignalingService, caplog: pytest.LogCaptureFixture
) -> None:
    alice = some_id("alice")
    sink = SignalingRecorder()
    async with (
        make_client(service, alice, sink) as older,
        make_client(service, alice, incarnation=2) as newer,
    ):
        await sink.until(lambda: sink.replacements == 1)
        assert older.state is SignalingState.REPLACED
        await newer.relay(alice, STEP)
    (said,) = [record for record in caplog.records if record.message.startswith("TOOK OVER")]
    assert said.levelno == logging.WARNING
    assert f"TOOK OVER {alice}: another process had this identity until now" in said.message


async def test_a_process_that_takes_over_from_nobody_leaves_a_running_one_alone(
    service: SignalingService, caplog: pytest.LogCaptureFixture
) -> None:
    alice = some_id("alice")
    sink = SignalingRecorder()
    async with make_client(service, alice, sink) as older:
        with pytest.raises(BusyError, match=f"another process has the identity {alice}: stop"):
            await make_client(service, alice, incarnation=2, takes_over=False).__aenter__()
        assert (older.state, sink.replacements) == (SignalingState.REGISTERED, 0)
        await older.relay(alice, STEP)
    async with make_client(service, alice, incarnation=3, takes_over=False):
        pass
    assert "TOOK OVER" not in caplog.text


async def test_a_service_that_is_killed_and_comes_back_finds_all_as_it_was(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    alice, bob = some_id("alice"), some_id("bob")
    at_alice, at_bob = SignalingRecorder(), SignalingRecorder()
    async with (
        SignalingService(port=port) as service,
        make_client(service, alice, at_alice, secret=None) as a,
        make_client(service, bob, at_bob, secret=None) as b,
    ):
        await a.subscribe(bob.actr_type)
        # Bob may be so new that watchers are yet to be told of him.
        await at_alice.until(lambda: a.find(bob) is not None)
        await service.stop(is_killed=True)
        waiting = asyncio.create_task(a.relay(bob, STEP, timeout=30))
        await at_alice.until(lambda: SignalingState.WAITING in at_alice.states)
        assert a.find(bob) is not None, "what was known is still known"
        await service.start()
        await at_bob.until(lambda: at_bob.states.count(SignalingState.REGISTERED) == 2)
        # Bob may be back later than Alice: then the relay says so and is tried again.
        while True:
            try:
                await waiting
                break
            except UnreachableError:
                waiting = asyncio.create_task(a.relay(bob, STEP, timeout=30))
        assert at_bob.relays
        assert await b.lookup(alice) is not None
        await at_alice.until(lambda: a.find(bob) is not None)


async def test_a_service_that_drains_moves_its_peers_before_it_closes(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    sink = SignalingRecorder()
    async with (
        SignalingService(port=port) as service,
        make_client(service, some_id("alice"), sink, secret=None),
    ):
        await service.stop()
        await sink.until(lambda: SignalingState.WAITING in sink.states)
        await service.start()
        await sink.until(lambda: sink.states.count(SignalingState.REGISTERED) == 2)
