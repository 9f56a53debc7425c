"""Whoever carries what actors say, and lies: ``make adversary-test``."""
