"""Two actors with certificates over WebRTC: signaling carries their descriptions, and cannot change
them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from actr.services import reflection_pb2 as pb
from actr.services.reflection_actr import ReflectionClient
from actr_peer import ActrId, Hooks, IdentityConfig, Node, NodeConfig, Service, System, WireKind
from actr_peer.errors import ConfigError, PeerError
from actr_peer.node.hooks import RefusalEvent
from actr_peer.protocol.webrtc.negotiation import NegotiateMessage, Offer
from actr_peer.wire.signaling.client import SignalingClient
from peer_kit.signaling import SignalingService, signaling_service
from peer_kit.signaling.issuer import SECRET, FakeIssuer

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

A, B = ActrId("acme", "a", "1"), ActrId("acme", "b", "1")


class Room(Service, Hooks):
    """One that hears of refusals; what others ask of it is what it serves."""

    def __init__(self) -> None:
        self.refused: asyncio.Queue[RefusalEvent] = asyncio.Queue()

    async def on_refusal(self, event: RefusalEvent) -> None:
        self.refused.put_nowait(event)


async def ask(node: Node, whom: ActrId, *, timeout: float = 60) -> int:
    """How many words an actor says of itself."""
    async with asyncio.timeout(timeout):
        words = ReflectionClient(node.ref.to(whom)).describe(pb.DescribeRequest())
        return len([word async for word in words])


@asynccontextmanager
async def actor(
    who: ActrId,
    url: str,
    issuer: FakeIssuer | None,
    *,
    is_required: bool = True,
    secret: bytes | None = None,
) -> AsyncIterator[tuple[Node, Room]]:
    config = NodeConfig(id=who, signaling_url=url, prefer=(WireKind.WEBRTC,), realm_secret=secret)
    if issuer is not None:
        identity = IdentityConfig(issuer_url=issuer.url, is_required=is_required)
        config = replace(config, identity=identity, realm_secret=SECRET)
    room = Room()
    async with System(config).attach(room) as node:
        yield node, room


@pytest.mark.parametrize("caller", [A, B], ids=["who offers calls", "who answers calls"])
async def test_actors_with_certificates_reach_each_other(caller: ActrId) -> None:
    async with (
        FakeIssuer() as issuer,
        signaling_service() as url,
        actor(A, url, issuer) as (a, _),
        actor(B, url, issuer) as (b, _),
    ):
        node, other = (a, B) if caller == A else (b, A)
        assert await ask(node, other)
        for each in (a, b):
            signed = each.assembly.network.signed
            assert signed is not None
            assert not signed.dropped


async def test_one_that_requires_certificates_takes_no_description_without() -> None:
    async with (
        FakeIssuer() as issuer,
        signaling_service() as url,
        actor(A, url, None) as (a, _),
        actor(B, url, issuer) as (_, room),
    ):
        with pytest.raises((PeerError, TimeoutError)):
            await ask(a, B, timeout=3)
        event = await room.refused.get()
        assert (event.remote, event.what) == (A, "description")
        assert event.why == f"a description of {A} without proof"


def secret_in(folder: Path) -> Path:
    path = folder / "secret"
    path.write_bytes(SECRET)
    return path


async def test_while_a_realm_goes_over_both_kinds_reach_each_other(tmp_path: Path) -> None:
    async with (
        FakeIssuer() as issuer,
        SignalingService(secret_in(tmp_path)) as signaling,
        actor(A, signaling.url, None, secret=SECRET) as (a, _),
        actor(B, signaling.url, issuer, is_required=False) as (_, room),
    ):
        assert await ask(a, B)
        assert room.refused.empty()


async def test_who_requires_the_secret_of_others_joins_no_service_that_does_not() -> None:
    async with signaling_service() as url:
        with pytest.raises(ConfigError, match="development mode, where anybody"):
            async with actor(B, url, None, secret=SECRET):
                pass


async def test_a_fingerprint_that_signaling_replaces_is_dropped_and_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    relay = SignalingClient.relay

    async def replacing(
        self: SignalingClient, to: ActrId, negotiate: NegotiateMessage, **more: float
    ) -> None:
        body = negotiate.body
        if isinstance(body, Offer):
            body = replace(body, sdp=body.sdp.replace("a=fingerprint:sha-256 ", "a=fingerprint:x "))
            negotiate = replace(negotiate, body=body)
        await relay(self, to, negotiate, **more)

    monkeypatch.setattr(SignalingClient, "relay", replacing)
    async with (
        FakeIssuer() as issuer,
        signaling_service() as url,
        actor(A, url, issuer) as (a, _),
        actor(B, url, issuer) as (b, room),
    ):
        with pytest.raises((PeerError, TimeoutError)):
            await ask(a, B, timeout=3)
        event = await room.refused.get()
        assert (event.remote, event.what) == (A, "description")
        assert "is not the one which it signed" in event.why
        signed = b.assembly.network.signed
        assert signed is not None
        assert signed.dropped["swapped"] >= 1
