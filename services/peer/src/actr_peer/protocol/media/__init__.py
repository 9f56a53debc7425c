"""Encoded frames and their packets, without I/O; it may import what protocol/ may."""
