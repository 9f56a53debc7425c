"""TLS of a WebSocket wire, by the actors' own keys."""
