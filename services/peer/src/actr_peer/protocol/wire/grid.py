"""Sans-I/O: instants that many wires share, so that a process wakes once for all of them.

Each is a whole number of milliseconds, which a loop's timers keep exactly.
"""

from __future__ import annotations

from math import floor

GRID = 0.25
"""Seconds: what is not urgent is due at multiples of it."""
FINE_A_SECOND = 20
"""How many instants a second are shared by what is due several times in one."""


def on_grid(at: float) -> float:
    """The last such instant not after ``at``, in seconds of the loop's clock."""
    return floor(at / GRID) * GRID


def on_fine_grid(at: float) -> float:
    """The last instant of the finer grid not after ``at``."""
    return floor(at * FINE_A_SECOND) / FINE_A_SECOND


def near_fine_grid(at: float) -> float:
    """The instant of the finer grid that is nearest to ``at``."""
    return round(at * FINE_A_SECOND) / FINE_A_SECOND
