"""Sans-I/O: instants that many wires share, so that a process wakes once for all of them."""

from __future__ import annotations

from math import floor

GRID = 0.25
"""Seconds: what is not urgent is due at multiples of it."""


def on_grid(at: float) -> float:
    """The last such instant not after ``at``, in seconds of the loop's clock."""
    return floor(at / GRID) * GRID
