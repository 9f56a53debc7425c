"""The WebSocket wire: the listener, the dialler, and one wire."""
