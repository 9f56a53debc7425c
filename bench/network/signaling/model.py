"""What a number of peers needs, computed from unit costs: ``python -m …signaling.model``.

Costs are of one machine, as :mod:`bench.network.signaling.scale` has measured them up to 10,000
peers on one service and two services around one Redis. All beyond that is computed, not seen.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from math import ceil

from bench.report import show, write_json

HEAD_BYTES = 40
"""Of TCP and IP, for each message."""
BEAT_BYTES = 60
"""Of a heartbeat; its answer is counted as one more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Of one thing each: CPU in microseconds, memory in KB."""

    idle_us: float = 20.0
    """Of a service in a second, for a peer that only beats."""
    accept_us: float = 800.0
    """Of a service, for a connection that joins."""
    relay_us: float = 150.0
    """Of a service, for a relay within it and its receipt, each alone on its connection."""
    across_us: float = 235.0
    """Of two services and Redis, for a relay from one to the other, and its receipt."""
    hear_us: float = 175.0
    """Of each service, for a change of presence that another one has made."""
    hold_us: float = 36.0
    """Of Redis, for a lease that is renewed."""
    register_us: float = 49.0
    """Of Redis, for a registration."""
    base_kb: float = 75_000.0
    connection_kb: float = 5.2
    view_kb: float = 2.4
    """Of each service, for each peer of all services."""
    stored_kb: float = 0.42
    """Of Redis, for a peer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What an average peer does; and how full a core may be."""

    beats_per_second: float = 0.1
    """``HEARTBEAT`` is 10 s."""
    joins_per_second: float = 1 / 3600
    relays_per_second: float = 1 / 60
    relay_bytes: int = 1_500
    full: float = 0.5
    """Share of a core that is planned for."""
    max_connections: int = 20_000
    """Of a service: its setting ``MAX_CONNECTIONS``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Of all deployments together, unless it says otherwise."""

    peers: int
    deployments: int
    """Each has a Redis of its own, and its actors see no others."""
    replicas: int
    """Of signaling, in each deployment."""
    cores: float
    memory_gb: float
    redis_ops_per_second: float
    """Of one deployment."""
    redis_share: float
    """Of the one core that Redis has, in each deployment."""
    megabit_per_second: float


def need(peers: int, costs: Costs | None = None, use: Use | None = None) -> Need:
    """What ``peers`` need, in as few deployments as one Redis and the replicas around it allow."""
    costs, use = costs or Costs(), use or Use()
    deployments = 1
    while True:
        each = ceil(peers / deployments)
        share = redis_share(each, costs, use)
        replicas = replicas_of(each, costs, use)
        if share <= use.full and replicas is not None:
            break
        deployments = max(deployments + 1, ceil(deployments * 1.02))
    memory = each * (costs.connection_kb + costs.stored_kb)
    memory += replicas * (costs.base_kb + each * costs.view_kb)
    cores = replicas * service_share(each, replicas, costs, use) + share
    traffic = use.relays_per_second * 2 * (use.relay_bytes + HEAD_BYTES)
    traffic += use.beats_per_second * 2 * (BEAT_BYTES + HEAD_BYTES)
    return Need(
        peers=peers,
        deployments=deployments,
        replicas=replicas,
        cores=deployments * cores,
        memory_gb=deployments * memory / 1024**2,
        redis_ops_per_second=each * (use.beats_per_second + 2 * use.joins_per_second),
        redis_share=share,
        megabit_per_second=peers * traffic * 8 / 1e6,
    )


def redis_share(peers: int, costs: Costs, use: Use) -> float:
    """Of its core: each heartbeat is a lease that is renewed."""
    held = use.beats_per_second * costs.hold_us
    return peers * (held + 2 * use.joins_per_second * costs.register_us) / 1e6


def service_share(peers: int, replicas: int, costs: Costs, use: Use) -> float:
    """Of a core, of each of so many replicas that share so many peers.

    Of the relays as many cross as there are peers elsewhere. Every replica hears of every change:
    that part does not become less with more of them.
    """
    across = (replicas - 1) / replicas
    relay = (1 - across) * costs.relay_us + across * costs.across_us
    own = costs.idle_us + use.relays_per_second * relay + use.joins_per_second * costs.accept_us
    heard = peers * 2 * use.joins_per_second * costs.hear_us
    return (peers / replicas * own + heard) / 1e6


def replicas_of(peers: int, costs: Costs, use: Use) -> int | None:
    """The fewest that carry so many peers; None: no number does, for each hears of all."""
    least = max(1, ceil(peers / use.max_connections))
    for replicas in range(least, 4 * least + 4):
        if service_share(peers, replicas, costs, use) <= use.full:
            return replicas
    return None


def memory_kb(peers: int, costs: Costs | None = None) -> float:
    """What connections of one service on memory take: what a crowd is held against."""
    costs = costs or Costs()
    return peers * (costs.connection_kb + costs.view_kb)


def main() -> None:
    """Parse the arguments, compute, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", nargs="*", type=int, default=[10**4, 10**6, 10**8])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [asdict(need(peers)) for peers in arguments.peers]
    show("Computed, not measured", rows)
    if arguments.json:
        write_json({"rows": rows})


if __name__ == "__main__":
    main()
