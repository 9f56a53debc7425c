"""Calls to whoever a text names: by the type of the message, and by the type of the actor."""
