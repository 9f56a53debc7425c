"""A server's side of RFC 6455, and of the request before it."""
