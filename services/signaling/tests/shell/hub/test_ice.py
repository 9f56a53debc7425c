from __future__ import annotations

from pathlib import Path

import pytest

from actr import signaling_pb2 as pb
from actr_signaling.hub.ice import IceServers
from actr_signaling.protocol.client.replies import IceServer
from signaling_kit.client import Client, actor, serve

URLS = ("stun:a:3478", "turn:a:3478?transport=udp", "turns:a:5349")


def test_turn_servers_come_with_credentials_and_stun_servers_without() -> None:
    servers = IceServers(URLS, secret=b"north", ttl=600, clock=lambda: 1_699_999_400.7)
    stun, turn = servers.give(actor("room@2"))
    assert stun == IceServer(urls=("stun:a:3478",))
    assert turn.urls == URLS[1:]
    assert turn.username == "1700000000:acme:room@2:default"
    assert turn.ttl == 600


def test_no_third_party_is_given_by_default() -> None:
    servers = IceServers((), secret=b"", ttl=600)
    assert servers.give(actor("a")) == []
    assert servers.ttl is None


@pytest.mark.service
async def test_a_peer_gets_credentials_at_registration_and_fresh_ones_with_a_heartbeat(
    tmp_path: Path,
) -> None:
    (tmp_path / "secret").write_bytes(b"0123456789abcdef")
    options = {"turn_urls": "turn:a:3478", "turn_secret_file": tmp_path / "secret"}
    async with serve(**options) as replica:
        client = await Client.registered_as(replica.url, "a")
        assert client.registered is not None
        (server,) = client.registered.ice_servers
        assert server.ttl_s == 600
        assert server.credential
        ack = await client.ask(heartbeat=pb.Heartbeat())
        assert not ack.heartbeat_ack.ice_servers
        peer = replica.service.hub.here["acme:a@1:default"]
        peer.ice_until = 0.0  # as if half of their life were over
        ack = await client.ask(heartbeat=pb.Heartbeat())
        assert len(ack.heartbeat_ack.ice_servers) == 1
        ack = await client.ask(heartbeat=pb.Heartbeat())
        assert not ack.heartbeat_ack.ice_servers
        await client.close()
