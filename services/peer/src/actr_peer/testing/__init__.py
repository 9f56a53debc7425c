"""What stands in for the network in tests; nothing of the runtime imports it."""
