"""Peers that are registered at different signaling services."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration_kit.drivers import PAYLOAD_TYPES, Composed, Pair, Peer
from integration_kit.engine import docker, each_eventually, eventually


@pytest.fixture
def split(system: Composed) -> Iterator[list[Peer]]:
    """Two peers more, each told one replica by its own name."""
    peers = []
    for signaling in system.containers("signaling"):
        index = f"at-{signaling.rpartition('-')[2]}"
        name = f"{system.project}-{index}"
        peers.append(Peer(name, index))
        system.compose(
            *("run", "--detach", "--no-deps", "--name", name),
            *("--env", f"ACTR_ACTOR__ID=acme:room@{index}:default"),
            *("--env", f"ACTR_SIGNALING__URL=ws://{signaling}:8080/v1/ws"),
            "peer",
        )
    yield peers
    docker("rm", "--force", *(peer.container for peer in peers))


def test_peers_on_different_signaling_replicas_exchange_all_five(
    system: Composed, split: list[Peer]
) -> None:
    expected = [system.server_id(name) for name in system.containers("signaling")]
    assert len(set(expected)) == 2, "the two replicas call themselves the same"
    eventually(
        "each of the two is registered at the replica that it was told",
        lambda: [peer.status()["server_id"] for peer in split] == expected,
        within=30,
    )
    each_eventually(
        (Pair(*split), Pair(*split[::-1])),
        "has exchanged all five over a WebRTC wire that was negotiated across replicas",
        lambda pair: (
            pair.sender.in_use(pair.receiver) == "webrtc"
            and all(pair.sent()["done"][kind] > 0 for kind in PAYLOAD_TYPES)
        ),
        within=60,
    )
