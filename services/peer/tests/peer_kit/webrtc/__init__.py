"""Connections in one process, recorded offers, sources of given frames."""
