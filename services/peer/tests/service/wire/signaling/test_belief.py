"""With a certificate: what the client proves to a service, and what it believes of one that lies.

The honest service is real; the one that lies is played.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.asyncio.server import serve

from actr import signaling_pb2 as pb
from actr_peer.errors import ConfigError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.signaling.presence import Change, Load, Registration, SignalingState
from actr_peer.protocol.signaling.signed import Fault
from actr_peer.protocol.webrtc.negotiation import Bye, NegotiateMessage
from actr_peer.wire.signaling import upkeep
from actr_peer.wire.signaling.client import SignalingClient
from actr_peer.wire.signaling.connection import SUBPROTOCOL
from peer_kit.fakes import ALICE, BOB, SignalingRecorder
from peer_kit.signaling import SignalingService
from peer_kit.signaling.holders import Authority, Holder
from peer_kit.signaling.played import Played, Service, make_client

pytestmark = [pytest.mark.service, pytest.mark.timeout(90)]

STEP = NegotiateMessage("c", 1, Bye("enough"))
FAST = {"HEARTBEAT": "1", "LEASE": "20", "TRUST_INTERVAL": "0.05"}


@pytest.fixture
def authority() -> Authority:
    return Authority()


def trusting(authority: Authority, holder: Holder) -> Certified:
    return Certified(identity=holder, verify=authority.verify, now=time.time)


# A real service


@pytest.fixture
async def real(authority: Authority, tmp_path: Path) -> AsyncIterator[SignalingService]:
    keys = tmp_path / "issuer.json"
    keys.write_text(authority.file)
    async with SignalingService(None, ISSUER_KEYS=str(keys), PRODUCTION="true", **FAST) as running:
        yield running


def client_of(
    service: SignalingService, holder: Holder, certified: Certified | None, sink: SignalingRecorder
) -> SignalingClient:
    return SignalingClient(
        url=service.url,
        registration=lambda _: Registration(
            id=holder.id,
            incarnation=7,
            ws_address="ws://10.1.2.3:9100/v1/wire",
            services=(("demo.Chat", "ab12"),),
            metadata={"color": "blue"},
        ),
        secret=None,
        certified=certified,
        relayed=sink.relayed,
        sink=sink,
        load=Load,
    )


async def test_two_actors_with_certificates_find_and_reach_each_other(
    authority: Authority, real: SignalingService
) -> None:
    alice, bob = authority.enrol(ALICE), authority.enrol(BOB)
    of_alice, of_bob = SignalingRecorder(), SignalingRecorder()
    async with AsyncExitStack() as stack:
        a = client_of(real, alice, trusting(authority, alice), of_alice)
        await stack.enter_async_context(a)
        await a.subscribe()
        async with client_of(real, bob, trusting(authority, bob), of_bob) as b:
            await of_alice.until(lambda: any(one.presence.id == BOB for one in of_alice.events))
            found = await a.lookup(BOB)
            assert found is not None
            assert (found.ws_address, found.incarnation) == ("ws://10.1.2.3:9100/v1/wire", 7)
            assert {one.id for one in await b.discover(service="demo.Chat")} == {ALICE, BOB}
            await a.relay(BOB, STEP)
            await of_bob.until(lambda: of_bob.relays == [(ALICE, STEP)])
        await of_alice.until(lambda: any(one.kind is Change.LEAVE for one in of_alice.events))
        assert (a.refused, b.refused) == ({}, {})


async def test_a_renewed_certificate_is_proven_with_the_next_heartbeat(
    authority: Authority, real: SignalingService
) -> None:
    alice, bob = authority.enrol(ALICE), authority.enrol(BOB)
    sink, shown = SignalingRecorder(), set[bytes]()

    def verify(data: bytes) -> Certificate:
        shown.add(data)
        return authority.verify(data)

    async with (
        client_of(real, alice, trusting(authority, alice), sink),
        client_of(
            real, bob, Certified(identity=bob, verify=verify, now=time.time), SignalingRecorder()
        ) as observer,
    ):
        assert await observer.lookup(ALICE) is not None
        authority.renew(alice)
        while alice.certificate.encode() not in shown:
            assert await observer.lookup(ALICE) is not None
        assert sink.states == [SignalingState.REGISTERED], "on the same connection"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(
            lambda authority: authority.enrol(ALICE, now=time.time() - 5000),
            r"4401 a certificate that ended at \d+ by its issuer's clock.*clock here says \d+",
            id="expired",
        ),
        pytest.param(
            lambda authority: Authority().enrol(ALICE),
            "4401 a certificate signed with the issuer key",
            id="of a foreign issuer",
        ),
        pytest.param(
            lambda authority: authority.enrol(ALICE, subject="acme:chat@other"),
            "4401 the certificate is for acme:chat@other",
            id="for another actor",
        ),
    ],
)
async def test_a_certificate_that_the_service_does_not_take_ends_the_start_with_the_cause(
    authority: Authority, real: SignalingService, make: Callable[[Authority], Holder], why: str
) -> None:
    holder = make(authority)
    client = client_of(real, holder, trusting(authority, holder), SignalingRecorder())
    with pytest.raises(ConfigError, match=why):
        await client.__aenter__()


async def test_without_a_certificate_the_start_says_that_one_is_asked_for(
    authority: Authority, real: SignalingService
) -> None:
    with pytest.raises(ConfigError, match="asks for a certificate and this actor has none"):
        await client_of(real, authority.enrol(ALICE), None, SignalingRecorder()).__aenter__()


# A service that lies


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    played = Service()
    async with serve(
        played, "127.0.0.1", 0, compression=None, subprotocols=[SUBPROTOCOL]
    ) as server:
        played.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/ws"
        yield played


@pytest.fixture(autouse=True)
def short_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LEAVE_SECONDS", 0.01)


class Lied:
    """A registered client that trusts an authority, and the service that lies to it."""

    def __init__(self, service: Service, authority: Authority) -> None:
        self.sink = SignalingRecorder()
        self.bob = authority.enrol(BOB)
        certified = trusting(authority, authority.enrol(ALICE))
        self.client = make_client(service, self.sink, certified=certified)
        self.said = {"ws_address": "ws://10.0.0.1:1/v1/wire", "incarnation": 5}
        self._service = service
        self.played: Played

    async def __aenter__(self) -> Lied:
        entering = asyncio.create_task(self.client.__aenter__())
        self.played = await self._service.next()
        await self.played.register()
        await entering
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.client.__aexit__(None, None, None)

    def genuine(self) -> pb.Presence:
        return self.bob.presence(**self.said)

    def forged(self) -> pb.Presence:
        body = self.genuine()
        body.ws_address = "ws://10.6.6.6:1/v1/wire"
        return body

    async def snapshot(self, *present: pb.Presence) -> list[ActrId]:
        asking = asyncio.create_task(self.client.subscribe())
        asked = await self.played.heard()
        snapshot = pb.PresenceSnapshot(version=2, present=present)
        await self.played.say(reply_to=asked.id, snapshot=snapshot)
        return [one.id for one in await asking]

    async def event(self, kind: int, body: pb.Presence, version: int) -> None:
        event = pb.PresenceEvent(kind=kind, version=version, presence=body)  # type: ignore[arg-type]
        await self.played.say(presence=event)


async def test_a_forged_actor_is_in_no_snapshot_and_no_event(
    service: Service, authority: Authority
) -> None:
    async with Lied(service, authority) as lied:
        stripped = lied.genuine()
        stripped.ClearField("signed")
        assert await lied.snapshot(lied.forged(), stripped) == []
        await lied.event(pb.PresenceEvent.JOIN, lied.forged(), 4)
        await lied.event(pb.PresenceEvent.JOIN, lied.genuine(), 6)
        await lied.sink.until(lambda: bool(lied.sink.events))
        assert [one.presence.ws_address for one in lied.sink.events] == ["ws://10.0.0.1:1/v1/wire"]
        assert lied.sink.refusals == [
            (BOB, Fault.ALTERED),
            (BOB, Fault.UNSIGNED),
            (BOB, Fault.ALTERED),
        ]
        assert lied.client.refused == {Fault.ALTERED: 2, Fault.UNSIGNED: 1}


async def test_an_actor_that_is_known_is_not_moved_by_a_lie(
    service: Service, authority: Authority
) -> None:
    async with Lied(service, authority) as lied:
        assert await lied.snapshot(lied.genuine()) == [BOB]
        moved = lied.forged()
        moved.epoch = 9
        await lied.event(pb.PresenceEvent.UPDATE, moved, 8)
        await lied.sink.until(lambda: bool(lied.sink.refusals))
        found = lied.client.find(BOB)
        assert found is not None
        assert found.ws_address == "ws://10.0.0.1:1/v1/wire"


async def test_nobody_is_found_whom_nobody_is(service: Service, authority: Authority) -> None:
    async with Lied(service, authority) as lied:
        for ask in (lied.client.discover("acme:chat"), lied.client.lookup(BOB)):
            asking = asyncio.ensure_future(ask)  # type: ignore[arg-type]
            asked = await lied.played.heard()
            found = pb.Discovered(found=[lied.forged()])
            await lied.played.say(reply_to=asked.id, discovered=found)
            assert not await asking
        assert lied.client.refused == {Fault.ALTERED: 2}


async def test_of_one_that_left_is_told_what_was_known(
    service: Service, authority: Authority
) -> None:
    async with Lied(service, authority) as lied:
        await lied.snapshot(lied.genuine())
        left = lied.forged()
        left.epoch = 3
        await lied.event(pb.PresenceEvent.LEAVE, left, 8)
        await lied.sink.until(lambda: bool(lied.sink.events))
        (event,) = lied.sink.events
        assert (event.kind, event.presence.ws_address) == (Change.LEAVE, "ws://10.0.0.1:1/v1/wire")
        assert event.presence.epoch == 3
        assert lied.client.find(BOB) is None


@pytest.mark.parametrize(
    ("offset", "said"),
    [(0, ""), (3600, "3600 s ahead of this actor's"), (-3600, "3600 s behind this actor's")],
)
async def test_a_clock_that_differs_is_named(
    service: Service,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
    offset: int,
    said: str,
) -> None:
    caplog.set_level(logging.WARNING)
    certified = Certified(
        identity=authority.enrol(ALICE), verify=authority.verify, now=lambda: 1_800_000_000.0
    )
    client = make_client(service, certified=certified)
    entering = asyncio.create_task(client.__aenter__())
    played = await service.next()
    proof = await played.greet(time_ms=(1_800_000_000 + offset) * 1000)
    await played.say(reply_to=proof.id, authenticated=pb.Authenticated())
    register = await played.heard()
    await played.say(reply_to=register.id, registered=pb.Registered(heartbeat_interval_ms=60_000))
    await entering
    await client.__aexit__(None, None, None)
    assert [said in record.getMessage() for record in caplog.records] == ([True] if said else [])
