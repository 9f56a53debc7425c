"""One signaling service dies; its peers move to the other."""

from __future__ import annotations

from integration_kit.drivers import Composed
from integration_kit.engine import docker, each_eventually, eventually


def test_peers_of_a_killed_replica_are_back_on_the_other_and_no_wire_drops(
    system: Composed,
) -> None:
    names = {system.server_id(name): name for name in system.containers("signaling")}
    victim = names.pop(system.peers()[0].status()["server_id"])
    (left,) = names
    before = system.counts()
    docker("kill", "--signal", "KILL", victim)
    each_eventually(
        system.peers(),
        "is registered at the replica that is left",
        lambda peer: peer.is_registered_at(left),
        within=10,
    )
    eventually(
        "every pair goes on exchanging after the replica's death",
        lambda: system.has_gone_on(before, 3),
        within=60,
    )
    system.assert_no_wire_dropped(before)
    system.assert_nothing_lost(before)
