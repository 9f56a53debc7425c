"""The client's side of signaling (docs/signaling.md)."""
