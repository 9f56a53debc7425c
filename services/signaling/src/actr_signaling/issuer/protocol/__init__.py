"""Decides what the issuer may sign, with no I/O: ``now`` is passed in, Unix seconds."""
