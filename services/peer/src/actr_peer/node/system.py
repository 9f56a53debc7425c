"""``System(config) → attach(workload) → Node → start() → ActrRef``."""

from __future__ import annotations

from actr_peer.errors import ConfigError
from actr_peer.node.config import NodeConfig
from actr_peer.node.node import Node
from actr_peer.service import Service


class System:
    """A configuration that waits for a workload."""

    def __init__(self, config: NodeConfig) -> None:
        self.config = config

    def attach(self, *services: Service) -> Node:
        """Make the actor of these services; one object may implement several of them.

        Raises:
            ConfigError: If there is none, or two have a method of the same name.
        """
        if not services:
            raise ConfigError("attach at least one service, the actor's workload")
        return Node(self.config, services)
