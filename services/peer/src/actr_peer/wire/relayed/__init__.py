"""Wires that the signaling service relays, sealed from end to end: the last resort."""
