"""Decides: no loop, clock, socket, dice or log here. May import errors and the wire contract."""
