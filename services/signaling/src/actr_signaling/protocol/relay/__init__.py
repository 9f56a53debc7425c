"""Where a relay goes, and what of it waits for an answer."""
