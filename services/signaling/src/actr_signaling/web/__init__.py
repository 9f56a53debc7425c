"""The HTTP server, its sockets, and what a stranger may do there."""
