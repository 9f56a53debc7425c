"""How long things took, in buckets: added to on the way, and read when metrics are asked for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

BOUNDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper ends of the buckets, in seconds."""


class Durations:
    """Added to, never taken from."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """All of them together."""
        self._counts = [0] * (len(BOUNDS) + 1)

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def cumulative(self) -> Iterator[tuple[str, float]]:
        """For each bound, and for all: how many took no longer."""
        so_far = 0
        for bound, count in zip((*BOUNDS, None), self._counts, strict=True):
            so_far += count
            yield "+Inf" if bound is None else f"{bound:g}", so_far
