"""Who writes presence and carries relays: one process alone, or Redis for several."""
