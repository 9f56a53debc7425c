"""What a gateway decides of the Connect protocol (docs/gateway.md)."""
