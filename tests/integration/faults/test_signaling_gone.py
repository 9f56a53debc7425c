"""No signaling service at all: what is connected stays connected."""

from __future__ import annotations

from integration_kit.drivers import Composed
from integration_kit.engine import docker, each_eventually, eventually


def test_established_links_go_on_without_any_signaling_service(system: Composed) -> None:
    before = system.counts()
    docker("kill", "--signal", "KILL", *system.containers("signaling"))
    eventually(
        "every pair finishes 25 rounds, about a minute's, while no signaling service runs",
        lambda: system.has_gone_on(before, 25),
        within=150,
    )
    assert not system.containers("signaling"), "a signaling service came back by itself"
    system.assert_no_wire_dropped(before)
    system.assert_nothing_lost(before)
    system.up()
    each_eventually(
        system.peers(),
        "has registered again by itself",
        lambda peer: peer.is_registered_at(),
        within=15,
    )
