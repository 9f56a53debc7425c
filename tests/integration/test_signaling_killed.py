"""One signaling service dies; its peers move to the other."""

from __future__ import annotations

from drivers import Composed, assert_nothing_lost, docker, each_eventually, eventually


def test_peers_of_a_killed_replica_are_back_on_the_other_and_no_wire_drops(
    system: Composed,
) -> None:
    names = {system.server_id(name): name for name in system.containers("signaling")}
    victim = names.pop(system.peers()[0].status()["server_id"])
    (left,) = names
    before, failures = system.rounds(), system.wire_failures()
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
    assert system.wire_failures() == failures, "a wire dropped when a signaling replica died"
    assert_nothing_lost(system.pairs())
