from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from actr import signaling_pb2 as pb
from actr_signaling.hub.ice import IceServers
from actr_signaling.protocol.client.replies import IceServer
from signaling_kit.certified import Holder, Issuer
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


SECRET = b"0123456789abcdef"
ISSUER = Issuer()


@pytest.mark.service
async def test_credentials_are_bound_to_the_actor_that_has_proven_its_certificate(
    tmp_path: Path,
) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    turn = {"turn_urls": "turn:a:3478", "turn_secret_file": tmp_path / "secret"}
    async with serve(**turn, **ISSUER.write(tmp_path)) as replica:
        before = int(time.time())
        client = await Client.certified(replica.url, ISSUER.enrol("a", now=time.time()))
        assert client.registered is not None
        (server,) = client.registered.ice_servers
        until, _, who = server.username.partition(":")
        assert who == "acme:a@1:default", "coturn names it in its log, and counts by it"
        assert 0 <= int(until) - before - 600 <= 60
        mac = hmac.digest(SECRET, server.username.encode(), hashlib.sha1)
        assert server.credential == b64encode(mac).decode(), "another name has another password"
        await client.close()


# Made in the test: one that is made at import is an expired one a quarter of an hour later.
REFUSED: dict[str, Callable[[Issuer], Holder | None]] = {
    "none": lambda _: None,
    "expired": lambda issuer: issuer.enrol("a", now=1000),
    "of another issuer": lambda _: Issuer(2).enrol("a", now=time.time()),
    "of another actor": lambda issuer: issuer.enrol("a", now=time.time(), subject="acme:b@1"),
    "revoked": lambda issuer: issuer.enrol("a", now=time.time()),
}


@pytest.mark.service
@pytest.mark.parametrize("what", REFUSED)
async def test_who_has_no_valid_certificate_gets_no_credentials_whatever_it_asks(
    tmp_path: Path, what: str
) -> None:
    issuer = Issuer()
    holder = REFUSED[what](issuer)
    if what == "revoked" and holder is not None:
        issuer.revoke_key(holder)
    (tmp_path / "secret").write_bytes(SECRET)
    turn = {"turn_urls": "turn:a:3478", "turn_secret_file": tmp_path / "secret"}
    async with serve(**turn, **issuer.write(tmp_path)) as replica:
        for first in ("proof", "register", "heartbeat"):
            client = await Client.open_raw(replica.url)
            hello = pb.ServerMessage.FromString(await client.socket.recv()).hello  # type: ignore[arg-type]
            said = pb.Authenticate(id=actor("a").to_wire())
            if holder is not None:
                said = holder.authenticate(hello.server_id, hello.nonce)
            asked = {
                "proof": pb.ClientMessage(id=1, authenticate=said),
                "register": pb.ClientMessage(id=2, register=pb.Register(id=actor("a").to_wire())),
                "heartbeat": pb.ClientMessage(id=3, heartbeat=pb.Heartbeat()),
            }
            heard = b""
            try:
                for name in (first, *asked):
                    await client.socket.send(asked[name].SerializeToString())
                while True:
                    heard += bytes(await client.socket.recv(decode=False))
            except ConnectionClosed:
                pass
            assert b"turn:a:3478" not in heard
            assert b"acme:a@1:default" not in heard or b"credential" not in heard
