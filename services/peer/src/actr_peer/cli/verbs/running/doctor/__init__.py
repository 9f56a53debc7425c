"""``actr doctor``: what is between this machine and another actor, step by step."""
