"""Layer 2: what leaves. May import transport and what is below it, never inbound."""
