"""Layer 3: what arrives. May import transport and what is below it, never outbound."""
