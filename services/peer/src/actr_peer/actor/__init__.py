"""Runs handlers, one at a time, and tells callbacks what flows. May import what is below it."""
