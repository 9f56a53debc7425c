"""Encoded tracks through aiortc: sections, senders, receivers."""
