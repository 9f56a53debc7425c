"""Where encoded frames come from."""
