"""The profile ``turn``: WebRTC through the relay only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration_kit.drivers import Composed, assert_hardened
from integration_kit.engine import DockerError, docker, each_eventually, eventually

RELAY_ONLY = {"ACTR_TURN_URLS": "turn:turn:3478", "ACTR_WIRES_ICE_POLICY": "relay"}

# Asks the relay to pass something on to an address of the compose network that is not its own.
INTRUDE = """
import asyncio, base64, hashlib, hmac, socket, sys, time
from aioice import stun, turn

async def main(secret):
    name = f"{int(time.time()) + 60}:intruder"
    password = base64.b64encode(hmac.digest(secret.encode(), name.encode(), "sha1")).decode()
    loop = asyncio.get_running_loop()
    transport, protocol = await turn.create_turn_endpoint(
        asyncio.DatagramProtocol, server_addr=(socket.gethostbyname("turn"), 3478),
        username=name, password=password)
    inner = transport._TurnTransport__inner_protocol
    try:
        await inner.channel_bind(0x4000, (socket.gethostbyname("redis"), 6379))
    except stun.TransactionFailed as exc:
        print("refused", exc.response.attributes["ERROR-CODE"][0])
    else:
        print("passed")

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def relayed(_up: Composed) -> Iterator[Composed]:
    """The same system with a relay, and peers that may use nothing else for WebRTC."""
    _up.up(profile="turn", environment=RELAY_ONLY)
    yield _up
    _up.compose("--profile", "turn", "rm", "--stop", "--force", "turn")
    _up.up()


def test_all_webrtc_traffic_passes_the_relay(relayed: Composed) -> None:
    each_eventually(
        relayed.peers(),
        "has a WebRTC wire to every other peer",
        lambda peer: peer.wires("webrtc") == relayed.others(peer),
        within=60,
    )
    for peer in relayed.peers():
        direct = [
            wire
            for wire in peer.status()["wires"]
            if wire["kind"] == "webrtc" and wire["state"] == "ready" and not wire["relayed"]
        ]
        assert not direct, f"{peer} has WebRTC wires that pass no relay: {direct}"
    before = relayed.counts()
    eventually(
        "all five payload types pass between every pair through the relay",
        lambda: relayed.has_gone_on(before, 2),
        within=60,
    )


def test_the_relay_has_no_more_rights_than_it_needs(relayed: Composed) -> None:
    (turn,) = relayed.containers("turn")
    assert_hardened(turn)


def test_the_relay_is_no_door_into_the_compose_network(relayed: Composed) -> None:
    (turn,) = relayed.containers("turn")
    secret = docker("exec", turn, "cat", "/run/secrets/turn/secret")
    peer = relayed.peers()[0].container
    assert docker("exec", peer, "python", "-c", INTRUDE, secret) == "refused 403", (
        "the relay opens a channel to Redis"
    )


def test_credentials_that_have_expired_are_refused(relayed: Composed) -> None:
    (turn,) = relayed.containers("turn")
    secret = docker("exec", turn, "cat", "/run/secrets/turn/secret")
    late = INTRUDE.replace("int(time.time()) + 60", "int(time.time()) - 60")
    with pytest.raises(DockerError, match="401"):
        docker("exec", relayed.peers()[0].container, "python", "-c", late, secret)
