"""Two systems by turns: what one costs, as a multiple of the other in the same round.

What else runs on a machine comes and goes; within a round it meets both alike, and of the rounds
the median counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

Cell = tuple[float, float]
"""CPU of one thing, and how long it took: both in seconds."""


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used, to the nanosecond (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


class Meter:
    """CPU of this process and another one, and time, since the last :meth:`take`."""

    def __init__(self, far: int) -> None:
        self._far = far
        self._at = self._now()

    def _now(self) -> Cell:
        return time.process_time() + cpu_of(self._far), time.perf_counter()

    def take(self, count: int = 1) -> Cell:
        """What each of ``count`` has cost."""
        now = self._now()
        before, self._at = self._at, now
        return (now[0] - before[0]) / count, (now[1] - before[1]) / count


def compared(rounds: Sequence[Mapping[str, Mapping[str, Cell]]], base: str) -> list[dict[str, Any]]:
    """A row for each thing and system.

    Args:
        rounds: Of each system what each thing has cost.
        base: The system with which the others are compared.
    """
    rows = []
    for what in rounds[0][base]:
        for system in rounds[0]:
            cells = [one[system][what] for one in rounds]
            bases = [one[base][what] for one in rounds]
            pairs = list(zip(cells, bases, strict=True))
            rows.append(
                {
                    "what": what,
                    "with": system,
                    "cpu_us": round(statistics.median(cpu for cpu, _ in cells) * 1e6, 1),
                    "times_cpu": round(statistics.median(a[0] / b[0] for a, b in pairs), 2),
                    "ms": round(statistics.median(took for _, took in cells) * 1e3, 3),
                    "times_time": round(statistics.median(a[1] / b[1] for a, b in pairs), 2),
                }
            )
    return rows
