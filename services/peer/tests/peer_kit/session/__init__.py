"""Sessions over simulated wires, and sessions with deliberate faults."""
