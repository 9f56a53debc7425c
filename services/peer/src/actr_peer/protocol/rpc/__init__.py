"""Requests, replies and streams as messages on lanes, and their bounds (docs/protocol/)."""
