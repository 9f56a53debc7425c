"""Wires that are cut, and relays of signaling."""
