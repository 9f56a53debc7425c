"""``--scale`` while the system runs."""

from __future__ import annotations

from integration_kit.drivers import Composed
from integration_kit.engine import each_eventually


def test_peers_come_and_go_and_presence_is_right_each_time(system: Composed) -> None:
    assert_all_meet(system, 8)
    assert_all_meet(system, 3)


def test_running_peers_are_not_touched_by_scaling(system: Composed) -> None:
    before = {peer.container: peer.pid for peer in system.peers()}
    system.up(peers=4)
    system.up(peers=3)
    assert {peer.container: peer.pid for peer in system.peers()} == before, (
        "a peer was restarted or re-created when others came and went"
    )


def assert_all_meet(system: Composed, count: int) -> None:
    """Scale, and every peer sees exactly those that are there and has a wire to each."""
    system.up(peers=count)
    expected = {f"acme:room@{index}:default" for index in range(1, count + 1)}
    assert {peer.id for peer in system.peers()} == expected
    each_eventually(
        system.peers(),
        f"sees exactly the {count} peers that are there",
        lambda peer: peer.actors() == expected,
        within=15,
    )
    each_eventually(
        system.peers(),
        f"has a WebRTC wire to each of {count - 1} others, and to nobody else",
        lambda peer: peer.wires("webrtc") == system.others(peer),
        within=60,
    )
