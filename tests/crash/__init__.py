"""Peers killed under durable calls, and the comparison of what they wrote."""
