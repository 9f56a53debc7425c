"""The compose system, driven from outside."""
