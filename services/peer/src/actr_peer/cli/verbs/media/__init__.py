"""The verbs that move media: one module each."""
