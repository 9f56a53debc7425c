"""Files between actors, decided: names, manifests, blocks, quota, and the order of what is said."""
