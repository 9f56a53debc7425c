"""Processes on a network that can be cut, traffic between them, and a record of it."""
