"""The signaling service beside what else relays messages between WebSockets."""
