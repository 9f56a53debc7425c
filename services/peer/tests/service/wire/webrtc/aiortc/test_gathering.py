"""What this machine and one server give; the server is a real one, or is dead."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path

import pytest

from actr_peer.errors import ConfigError
from actr_peer.protocol.webrtc.negotiation import IceServer
from actr_peer.wire.webrtc.aiortc.gathering import gather
from actr_peer.wire.webrtc.engine import EngineOptions, IcePolicy
from peer_kit.webrtc.coturn import coturn
from tests.skips import lacking

pytestmark = pytest.mark.service


def asking(*urls: str, policy: IcePolicy = IcePolicy.ALL) -> EngineOptions:
    server = IceServer(urls=urls, username="user", credential="right")
    servers = (server,) if urls else ()
    return EngineOptions(ice_servers=servers, ice_policy=policy, loopback=True, gather_timeout=0.5)


async def test_this_machine_alone_gives_its_addresses_and_keeps_no_socket() -> None:
    found = await gather(asking())
    assert ("host", "127.0.0.1") in [(kind, host) for kind, host, _ in found.candidates]
    assert not found.was_asked
    loop = asyncio.get_running_loop()
    for _, host, port in found.candidates:
        if ":" not in host:  # free again
            transport, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=(host, port)
            )
            transport.close()


async def test_a_server_that_is_dead_is_told_of() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"stun:127.0.0.1:{silent.getsockname()[1]}"
        found = await gather(asking(url))
    assert found.was_asked
    assert {kind for kind, _, _ in found.candidates} == {"host"}
    assert any(f"{url}: no answer within 0.5 s" in failure for failure in found.failures)


@pytest.mark.skipif(shutil.which("turnserver") is None, reason=lacking("turnserver"))
async def test_a_server_that_works_gives_a_candidate_of_its_kind(tmp_path: Path) -> None:
    with coturn(tmp_path) as port:
        seen = await gather(asking(f"stun:127.0.0.1:{port}"))
        relayed = await gather(asking(f"turn:127.0.0.1:{port}", policy=IcePolicy.RELAY))
    assert "srflx" in {kind for kind, _, _ in seen.candidates}
    assert [kind for kind, _, _ in relayed.candidates] == ["relay"]
    assert relayed.failures == ()


async def test_what_this_library_never_asks_is_told_apart() -> None:
    found = await gather(asking("stuns:127.0.0.1:1"))
    assert not found.was_asked


async def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="ICE servers"):
        await gather(asking("http://127.0.0.1"))
