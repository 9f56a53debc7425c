"""``actr exchange``: the peer of the compose system, which talks to every other without end."""
