"""How long things took, in buckets, and how they ended: what is added to on the way, and read from
outside. No clock here: seconds are given."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

BOUNDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
"""Upper ends of the buckets, in seconds: from half a call inside a process to a call's time-out."""
MAX_SERIES: Final = 2048
"""Of calls by side, method and code: a contract has dozens, and nobody who calls adds one. What
comes beyond is counted under the method :data:`OTHER`."""
OTHER: Final = "other"
OK: Final = "OK"

Side: TypeAlias = Literal["client", "server"]


@dataclass(frozen=True, slots=True)
class DurationsView:
    """Durations at one moment."""

    counts: tuple[int, ...]
    """Of each bucket, and of what took longer than the last; not cumulative."""
    seconds: float
    """All of them together."""

    @property
    def count(self) -> int:
        return sum(self.counts)


class Durations:
    """Added to, never taken from."""

    __slots__ = ("_counts", "_seconds")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds

    def view(self) -> DurationsView:
        return DurationsView(tuple(self._counts), self._seconds)


@dataclass(frozen=True, slots=True)
class CallsView:
    """Calls of one side and method that ended in one way."""

    side: Side
    """``client``: of this actor to others; ``server``: of others, and of this process, to it."""
    method: str
    """Its route key; :data:`OTHER`: of more than are kept apart."""
    code: str
    """``OK``, or the name of one of gRPC's codes."""
    durations: DurationsView
    """Client: until the reply, or the end of the stream. Server: of the handler."""


class CallTally:
    """All calls of an actor that have ended; owned by its node."""

    def __init__(self, max_series: int = MAX_SERIES) -> None:
        self._max_series = max_series
        self._series: dict[tuple[Side, str, str], Durations] = {}

    def add(self, side: Side, method: str, code: str, seconds: float) -> None:
        self.series(side, method, code).add(seconds)

    def series(self, side: Side, method: str, code: str) -> Durations:
        """What such calls are added to; it is there from now on."""
        return self._series.get((side, method, code)) or self._new(side, method, code)

    def _new(self, side: Side, method: str, code: str) -> Durations:
        if len(self._series) >= self._max_series:
            method = OTHER
        return self._series.setdefault((side, method, code), Durations())

    def view(self) -> tuple[CallsView, ...]:
        """In the order of side, method and code."""
        return tuple(
            CallsView(*name, series.view()) for name, series in sorted(self._series.items())
        )
