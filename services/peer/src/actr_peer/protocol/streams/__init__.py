"""Streams as messages and as halves: items, credit, end (docs/protocol/streams.md)."""
