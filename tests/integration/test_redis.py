"""Redis dies, or forgets everything: presence is right again, and wires do not notice."""

from __future__ import annotations

import pytest

from integration_kit.drivers import Composed
from integration_kit.engine import DockerError, docker, each_eventually, eventually


def test_a_killed_redis_is_made_good_after_its_restart(system: Composed) -> None:
    before = system.counts()
    (redis,) = system.containers("redis")
    docker("kill", "--signal", "KILL", redis)
    eventually(
        "every pair goes on exchanging while Redis is away",
        lambda: system.has_gone_on(before, 3),
        within=60,
    )
    docker("start", redis)
    assert_presence_is_right(system)
    system.assert_no_wire_dropped(before)
    system.assert_nothing_lost(before)


def test_a_flushed_redis_is_made_good(system: Composed) -> None:
    before = system.counts()
    (redis,) = system.containers("redis")
    docker("exec", redis, "as-operator", "flushall")
    assert_presence_is_right(system)
    system.assert_no_wire_dropped(before)
    system.assert_nothing_lost(before)


def test_signaling_does_nothing_that_its_user_may_not_and_nobody_else_comes_in(
    system: Composed,
) -> None:
    (redis,) = system.containers("redis")
    assert "user=signaling" in docker("exec", redis, "as-operator", "client", "list")
    assert docker("exec", redis, "as-operator", "acl", "log") == ""
    ca = "/run/secrets/redis/ca.pem"
    with pytest.raises(DockerError, match="NOAUTH"):
        docker("exec", redis, "redis-cli", "-e", "--tls", "--cacert", ca, "ping")
    with pytest.raises(DockerError):
        docker("exec", redis, "redis-cli", "-e", "ping")


def assert_presence_is_right(system: Composed) -> None:
    """A newcomer learns who is there from Redis alone, and all others learn of it."""
    system.up(peers=4)
    everybody = {peer.id for peer in system.peers()}
    each_eventually(
        system.peers(),
        "sees exactly the four peers that are there",
        lambda peer: peer.actors() == everybody,
        within=10,
    )
    newcomer = system.peers()[3]
    eventually(
        f"{newcomer} has WebRTC wires to all others, negotiated through Redis",
        lambda: newcomer.wires("webrtc") == system.others(newcomer),
        within=60,
    )
    system.up()
