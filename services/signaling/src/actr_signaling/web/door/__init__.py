"""How a TCP connection comes in, from its first byte to a page or a WebSocket."""
