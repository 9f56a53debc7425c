"""Introduces peers to each other: presence, discovery, relay."""
