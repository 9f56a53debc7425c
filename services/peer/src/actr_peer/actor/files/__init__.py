"""Files between actors, done: reading, writing, the sidecar, and the talk between both sides."""
