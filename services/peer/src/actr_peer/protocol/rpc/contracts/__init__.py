"""Sans-I/O: what both sides of a call must agree on, written down and compared."""
