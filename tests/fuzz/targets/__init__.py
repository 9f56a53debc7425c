"""One module for each part of a service; an input goes the way that a stranger's bytes do."""
