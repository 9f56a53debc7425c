"""Layer 1: lanes to destinations. May import wire and what is below it."""
