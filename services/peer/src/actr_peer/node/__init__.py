"""Puts the layers together and ends them in order. May import every layer below."""
