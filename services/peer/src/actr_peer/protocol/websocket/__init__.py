"""The WebSocket wire: upgrade, handshake, frames, and who may wait at the door."""
