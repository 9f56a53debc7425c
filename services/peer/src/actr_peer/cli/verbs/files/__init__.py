"""The verbs that move files: one module each."""
