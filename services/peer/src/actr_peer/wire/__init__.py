"""Layer 0: bytes between two processes. May import protocol, tasks and errors."""
