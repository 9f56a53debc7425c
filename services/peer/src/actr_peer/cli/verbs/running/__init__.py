"""Verbs that show what runs, here and elsewhere in the realm."""
