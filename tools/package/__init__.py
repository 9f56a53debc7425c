"""Wheels of the three packages, and a trial of them in an empty environment."""
