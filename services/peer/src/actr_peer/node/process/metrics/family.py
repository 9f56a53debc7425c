"""What a metric is: its name, and how its values are read from a view."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from actr_peer.node.observe.durations import BOUNDS, DurationsView
from actr_peer.node.observe.view import NodeView

Labels: TypeAlias = tuple[str, ...]
Values: TypeAlias = Iterable[tuple[Labels, float]]
Spreads: TypeAlias = Iterable[tuple[Labels, DurationsView]]
_EDGES = tuple(f"{bound:g}" for bound in BOUNDS)


@dataclass(frozen=True, slots=True)
class Family:
    """One metric, of any labels.

    Attributes:
        name: As it is exported; of a counter it ends in ``_total``.
        meaning: One line, for the person who reads it.
        labels: Their names; values are of closed lists, or of the actor's contract.
        read: Finds the values.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    meaning: str
    labels: Labels
    read: Callable[[NodeView], Values] | Callable[[NodeView], Spreads]

    def of(self, view: NodeView) -> Metric:
        """What ``view`` has of it."""
        if self.kind == "histogram":
            return self._spread(view)
        kind = GaugeMetricFamily if self.kind == "gauge" else CounterMetricFamily
        metric = kind(self.name, self.meaning, labels=self.labels)
        for labels, value in self.read(view):
            assert not isinstance(value, DurationsView)
            metric.add_metric(labels, value)
        return metric

    def _spread(self, view: NodeView) -> Metric:
        metric = HistogramMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, durations in self.read(view):
            assert isinstance(durations, DurationsView)
            metric.add_metric(labels, list(_cumulative(durations)), durations.seconds)
        return metric


def _cumulative(durations: DurationsView) -> Iterator[tuple[str, float]]:
    so_far = 0
    for edge, count in zip((*_EDGES, "+Inf"), durations.counts, strict=True):
        so_far += count
        yield edge, so_far


def one(value: float) -> Values:
    """The value of a metric without labels."""
    return (((), value),)


def by_key(counts: Mapping[str, float]) -> Values:
    """The values of a metric with one label."""
    return (((key,), value) for key, value in counts.items())
