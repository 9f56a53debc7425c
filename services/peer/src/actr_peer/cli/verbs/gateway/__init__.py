"""``actr gateway``: HTTP in front of actors, by the Connect protocol (docs/gateway.md)."""
