"""No signaling service at all: what is connected stays connected."""

from __future__ import annotations

from drivers import Composed, assert_nothing_lost, docker, each_eventually, eventually


def test_established_links_go_on_without_any_signaling_service(system: Composed) -> None:
    before, failures = system.rounds(), system.wire_failures()
    docker("kill", "--signal", "KILL", *system.containers("signaling"))
    eventually(
        "every pair finishes 25 rounds, about a minute's, while no signaling service runs",
        lambda: system.has_gone_on(before, 25),
        within=150,
    )
    assert not system.containers("signaling"), "a signaling service came back by itself"
    assert system.wire_failures() == failures, "a wire dropped while signaling was away"
    assert_nothing_lost(system.pairs())
    system.up()
    each_eventually(
        system.peers(),
        "has registered again by itself",
        lambda peer: peer.is_registered_at(),
        within=15,
    )
