"""What a process uses: sampled inside it, and judged by the slope over many samples."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from statistics import median

MIB = 1 << 20
MEASURES = ("rss_mib", "blocks", "descriptors", "tasks")
LIMITS = {"rss_mib": 1.0, "blocks": 20_000.0, "descriptors": 12.0, "tasks": 12.0}
"""How much each may grow in an hour. Peers that move to another replica are some descriptors and
tasks there; one that is left behind by each storm, or each fault, would be hundreds. Blocks are
those of Python's allocator, fifty bytes or so each: what is kept shows there without the waste
of allocators, and without the pages of files."""
JUDGED_SECONDS = 1200.0
"""A slope over less than this says more about the noise than about an hour."""
COARSE = {"rss_mib": 32.0, "blocks": 200_000.0, "descriptors": 60.0, "tasks": 120.0}
"""How much each may grow in a run that is too short for a slope: gross leaks only."""
WINDOW_SECONDS = 60.0


def sample(tasks: int | None = None) -> dict[str, float]:
    """What this process uses now, after a full collection; ``tasks`` where the caller counts."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "rss_mib": pages * os.sysconf("SC_PAGE_SIZE") / MIB,
        "blocks": sys.getallocatedblocks(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "tasks": len(asyncio.all_tasks()) if tasks is None else tasks,
    }


@dataclass(slots=True)
class Life:
    """One process from its start to its end, as its samples show it."""

    name: str
    began_at: float
    at: list[float] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, now: float, measured: Mapping[str, float]) -> None:
        """Keep one sample."""
        self.at.append(now)
        for name in MEASURES:
            self.values.setdefault(name, []).append(float(measured[name]))


@dataclass(frozen=True, slots=True)
class Trend:
    """How one measure of one process went after the warm-up."""

    process: str
    measure: str
    first: float
    last: float
    per_hour: float
    seconds: float
    is_flat: bool
    least: tuple[float, ...]
    """Of each minute: what the slope is made of."""

    def row(self) -> dict[str, object]:
        """As the report shows it."""
        return {
            "process": self.process,
            "measure": self.measure,
            "first": round(self.first, 1),
            "last": round(self.last, 1),
            "per_hour": round(self.per_hour, 2),
            "seconds": round(self.seconds),
            "judged": self.seconds >= JUDGED_SECONDS,
            "flat": self.is_flat,
            "least": [round(value, 1) for value in self.least],
        }


def trends(life: Life, *, since: float) -> list[Trend]:
    """The trends of a life from the instant ``since``; none without two windows of samples."""
    found = []
    for name in MEASURES:
        points = windows(
            [
                (at, value)
                for at, value in zip(life.at, life.values.get(name, ()), strict=False)
                if at >= since
            ]
        )
        if len(points) < 2:
            continue
        first, last = points[0][1], points[-1][1]
        seconds = points[-1][0] - points[0][0]
        per_hour = slope(points) * 3600
        if seconds >= JUDGED_SECONDS:
            is_flat = per_hour <= LIMITS[name]
        else:
            is_flat = last - first <= COARSE[name]
        least = tuple(value for _, value in points)
        found.append(Trend(life.name, name, first, last, per_hour, seconds, is_flat, least))
    return found


def windows(
    points: Iterable[tuple[float, float]], *, seconds: float = WINDOW_SECONDS
) -> list[tuple[float, float]]:
    """The least value of each window of time: what is held at rest, without what is in flight."""
    least: dict[int, tuple[float, float]] = {}
    for at, value in points:
        window = int(at // seconds)
        if window not in least or value < least[window][1]:
            least[window] = (at, value)
    return [least[window] for window in sorted(least)]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Theil and Sen's: the median of the slopes of all pairs, which outliers do not move."""
    return median(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for earlier, later in combinations(points, 2)
        if later[0] > earlier[0]
    )
