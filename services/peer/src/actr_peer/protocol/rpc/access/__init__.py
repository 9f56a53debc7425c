"""Who may ask what of an actor."""
