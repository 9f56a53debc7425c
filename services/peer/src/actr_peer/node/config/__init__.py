"""A node's configuration: what can be configured, how it is read, and what a node takes of it."""

from actr_peer.node.config.values import NodeConfig

__all__ = ["NodeConfig"]
