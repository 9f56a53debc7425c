"""Verbs that say who is who, and who may what."""
