"""WebRTC wires through a real TURN server (coturn), on the loopback."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from actr_peer.errors import UnreachableError
from actr_peer.protocol.media.frames import MediaFrame
from actr_peer.protocol.webrtc.negotiation import Candidate, IceServer, Offer
from actr_peer.wire.media.sources import TestPattern
from actr_peer.wire.webrtc.engine import EngineOptions
from peer_kit.fakes import Recorder, turns
from peer_kit.webrtc.coturn import coturn
from peer_kit.webrtc.pair import webrtc_pair
from tests.skips import lacking

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(shutil.which("turnserver") is None, reason=lacking("turnserver")),
]

LOOPBACK = EngineOptions(loopback=True, gather_timeout=5.0)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Where a TURN server is, with the user ``user`` and the password ``right``."""
    with coturn(tmp_path) as port:
        yield port


def turn(port: int, password: str = "right", transport: str = "udp") -> IceServer:
    url = f"turn:127.0.0.1:{port}?transport={transport}"
    return IceServer(urls=(url,), username="user", credential=password)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_relay_only_peers_meet_through_the_server(port: int, transport: str) -> None:
    servers = (turn(port, transport=transport),)
    async with webrtc_pair(
        ice_policy="relay", ice_servers=lambda: servers, options=LOOPBACK
    ) as pair:
        near, far = await pair.connect()
        assert near.is_relayed
        assert far.is_relayed
        sinks = Recorder(), Recorder()
        near.attach(sinks[0])
        far.attach(sinks[1])
        for number in range(50):
            near.send(0, b"%d" % number * 500)
            far.send(2, b"%d" % number * 500)
        await sinks[0].received(50)
        await sinks[1].received(50)
        assert sinks[1].on(0) == [b"%d" % number * 500 for number in range(50)]


async def test_relay_only_tells_no_address_of_the_machine(port: int) -> None:
    servers = (turn(port),)
    async with webrtc_pair(
        ice_policy="relay", ice_servers=lambda: servers, options=LOOPBACK
    ) as pair:
        await pair.connect()
        for _, message in pair.relay.said:
            if isinstance(message.body, Offer):
                lines = message.body.sdp.splitlines()
                candidates = [line for line in lines if line.startswith("a=candidate:")]
                assert candidates
                assert all(" typ relay " in line for line in candidates)
                assert all(" raddr 0.0.0.0 " in line for line in candidates)


async def test_media_goes_through_the_server_too(port: int) -> None:
    servers = (turn(port),)
    async with webrtc_pair(
        ice_policy="relay", ice_servers=lambda: servers, options=LOOPBACK
    ) as pair:
        near, far = await pair.connect()
        frames: asyncio.Queue[MediaFrame] = asyncio.Queue()
        far.tracks.on_frame = frames.put_nowait
        await near.publish(TestPattern(track_id="p", width=160, height=90, frames=5, speed=4))
        assert (await frames.get()).track_id == "p"


async def test_expired_credentials_are_named_where_only_the_relay_may_be_used(port: int) -> None:
    servers = (turn(port, password="wrong"),)
    async with webrtc_pair(
        ice_policy="relay", ice_servers=lambda: servers, options=LOOPBACK
    ) as pair:
        with pytest.raises(UnreachableError, match=r"no relayed ICE candidate: turn:.*401"):
            await pair.alice.dial(pair.bob.self_id)


async def test_relayed_candidates_follow_the_offer_and_delay_nobody(port: int) -> None:
    servers = (turn(port),)
    async with webrtc_pair(ice_servers=lambda: servers, options=LOOPBACK) as pair:
        near, _ = await pair.connect()
        assert not near.is_relayed, "the direct way is better"
        trickled: list[str] = []
        while "" not in trickled:
            await turns(1)
            trickled = [m.body.candidate for _, m in pair.relay.said if _is_candidate(m.body)]
        assert any(" typ relay " in candidate for candidate in trickled)


async def test_a_refusing_server_is_told_of_and_the_direct_way_taken(port: int) -> None:
    servers = (turn(port, password="wrong"),)
    async with webrtc_pair(ice_servers=lambda: servers, options=LOOPBACK) as pair:
        near, _ = await pair.connect()
        while not near.view()["failures"]:
            await turns(1)
        assert "401" in near.view()["failures"][0]
        assert pair.alice.servers_failed("turn") >= 1
        assert pair.alice.servers_failed("stun") == 0


def _is_candidate(body: object) -> bool:
    return isinstance(body, Candidate)
