"""Decides; does no I/O: no loop, clock, socket, dice or log. May import errors only."""
