"""Requests and replies as messages on lanes, and their bounds (docs/protocol/)."""
