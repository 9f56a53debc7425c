"""Wires that are cut, and the signaling service beside others."""
