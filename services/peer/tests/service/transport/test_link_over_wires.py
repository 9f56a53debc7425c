"""Links over real WebSocket and WebRTC wires in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import RELIABLE_LANES, PayloadType, WireKind
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.transport.remote import RemoteTransport
from actr_peer.wire.base import Wire
from actr_peer.wire.webrtc.wires import WebRtcWires
from actr_peer.wire.websocket.wires import WebSocketWires
from peer_kit.fakes import ALICE, BOB
from peer_kit.links import Heard, eventually
from peer_kit.webrtc.pair import Relay

pytestmark = pytest.mark.service

KINDS = (WireKind.WEBRTC, WireKind.WEBSOCKET)
STREAM = PayloadType.STREAM_RELIABLE


@dataclass
class Peer:
    """One side: its transport, and what it heard."""

    transport: RemoteTransport
    heard: Heard


@asynccontextmanager
async def peer(actr_id: ActrId, relay: Relay, addresses: dict[ActrId, str]) -> AsyncIterator[Peer]:
    heard = Heard()

    def accept(wire: Wire) -> None:
        transport.accept(wire)

    async with AsyncExitStack() as stack:
        sockets = await stack.enter_async_context(
            WebSocketWires(self_id=actr_id, listen="127.0.0.1:0", on_wire=accept, secret=None)
        )
        webrtc = await stack.enter_async_context(
            WebRtcWires(self_id=actr_id, relay=relay.of(actr_id), ice_servers=tuple, on_wire=accept)
        )
        relay.join(webrtc)
        addresses[actr_id] = sockets.address

        async def dial_socket(remote: ActrId) -> Wire:
            return await sockets.dial(remote, addresses[remote])

        transport = await stack.enter_async_context(
            RemoteTransport(
                self_id=actr_id,
                incarnation=hash(actr_id),
                dialers={WireKind.WEBRTC: webrtc.dial, WireKind.WEBSOCKET: dial_socket},
                sink=heard,
                prefer=KINDS,
            )
        )
        yield Peer(transport, heard)


@asynccontextmanager
async def peers() -> AsyncIterator[tuple[Peer, Peer]]:
    relay, addresses = Relay(), dict[ActrId, str]()
    async with peer(BOB, relay, addresses) as bob, peer(ALICE, relay, addresses) as alice:
        yield alice, bob


@pytest.mark.parametrize("cut", KINDS)
async def test_nothing_is_lost_when_a_real_wire_dies_and_it_comes_back(cut: WireKind) -> None:
    """1. Both wires come up, traffic goes over WebRTC.
    2. One of them is aborted in the middle of it, twice.
    3. All arrives once and in order on each lane; the wire is made again and preferred again.
    """
    async with peers() as (alice, bob):
        link = alice.transport.link(BOB)
        await eventually(
            lambda: link.view().active is WireKind.WEBRTC and link.wire(cut) is not None
        )
        bodies = [b"%d" % n * 50 for n in range(400)]
        for n, body in enumerate(bodies):
            for lane in RELIABLE_LANES:
                await link.lane(lane).send(body)
            wire = link.wire(cut)
            if n in (100, 300) and wire is not None:
                wire.abort()
            await asyncio.sleep(0.001)
        for lane in RELIABLE_LANES:
            await eventually(lambda lane=lane: len(bob.heard.bodies(lane)) >= 400)  # type: ignore[misc]
            assert bob.heard.bodies(lane) == bodies
        await eventually(lambda: {v.state for v in link.view().wires} == {WireState.READY})
        await eventually(lambda: link.view().active is WireKind.WEBRTC)
        assert not alice.heard.errors
        assert not alice.heard.resets


async def test_both_sides_asking_at_once_end_with_one_wire_of_each_kind() -> None:
    async with peers() as (alice, bob):
        links = alice.transport.link(BOB), bob.transport.link(ALICE)
        for n in range(100):
            for link in links:
                await link.lane(STREAM).send(b"%d" % n)
        bodies = [b"%d" % n for n in range(100)]
        await eventually(lambda: alice.heard.bodies(STREAM) == bodies)
        await eventually(lambda: bob.heard.bodies(STREAM) == bodies)
        for link in links:
            await eventually(
                lambda link=link: {v.state for v in link.view().wires} == {WireState.READY}  # type: ignore[misc]
            )
        assert alice.heard.errors == bob.heard.errors == []
