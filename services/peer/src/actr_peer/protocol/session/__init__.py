"""Lane sessions: what makes an order out of wires that die (docs/protocol.md)."""
