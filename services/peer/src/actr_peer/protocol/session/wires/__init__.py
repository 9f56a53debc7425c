"""The wires of a session: which to dial, which works, which one is used."""
