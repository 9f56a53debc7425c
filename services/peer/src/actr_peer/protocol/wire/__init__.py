"""What all wires have: what ends one, the codes of its closing, the wait before the next."""
