"""Inside the process: calls as objects, and the way of messages to the own id."""
