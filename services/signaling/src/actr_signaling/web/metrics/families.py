"""Every metric of a replica, as docs/metrics.md has them; a test compares the two.

No label has a value of a client's: ids, types and realms are in none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import time
from typing import Final, Literal, TypeAlias

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from actr_signaling.hub.durations import Durations
from actr_signaling.protocol.relay.routing import Undelivered
from actr_signaling.web.service import Service

Values: TypeAlias = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric.

    Attributes:
        name: As it is exported; of a counter it ends in ``_total``.
        read: Finds the values, with those of the labels.
    """

    name: str
    kind: Literal["gauge", "counter"]
    meaning: str
    labels: tuple[str, ...]
    read: Callable[[Service], Values]

    def of(self, service: Service) -> Metric:
        kind = GaugeMetricFamily if self.kind == "gauge" else CounterMetricFamily
        metric = kind(self.name, self.meaning, labels=self.labels)
        for labels, value in self.read(service):
            metric.add_metric(labels, value)
        return metric


@dataclass(frozen=True, slots=True)
class Spread:
    """One histogram; it has no labels."""

    name: str
    meaning: str
    read: Callable[[Service], Durations]
    kind: Literal["histogram"] = "histogram"
    labels: tuple[str, ...] = ()

    def of(self, service: Service) -> Metric:
        durations = self.read(service)
        metric = HistogramMetricFamily(self.name, self.meaning)
        metric.add_metric((), list(durations.cumulative()), durations.seconds)
        return metric


def _one(value: float) -> Values:
    return (((), value),)


def _by(counts: Iterable[tuple[str, float]]) -> Values:
    return (((key,), count) for key, count in sorted(counts))


def _relays(service: Service) -> Iterator[tuple[str, float]]:
    results = service.hub.courier.results
    yield "delivered", results[None]
    for reason in Undelivered:
        yield reason.name.lower(), results[reason]


FAMILIES: Final[tuple[Family | Spread, ...]] = (
    Family(
        "actr_signaling_connections",
        "gauge",
        "Open WebSockets",
        (),
        lambda service: _one(service.hub.connections),
    ),
    Family(
        "actr_signaling_registered",
        "gauge",
        "Registered sessions of this replica",
        (),
        lambda service: _one(len(service.hub.here)),
    ),
    Family(
        "actr_signaling_actors",
        "gauge",
        "Actors that are present, of all replicas",
        (),
        lambda service: _one(len(service.hub.presence)),
    ),
    Family(
        "actr_signaling_ready",
        "gauge",
        "1 while new peers may come here, as /readyz says",
        (),
        lambda service: _one(service.hub.is_ready and service.keeper.is_ready),
    ),
    Family(
        "actr_signaling_clock_timestamp_seconds",
        "gauge",
        "What this machine's clock says, in Unix time",
        (),
        lambda service: _one(time()),
    ),
    Family(
        "actr_signaling_relays_total",
        "counter",
        "Relays that were answered, by what their sender was told",
        ("result",),
        lambda service: _by(_relays(service)),
    ),
    Family(
        "actr_signaling_refused_total",
        "counter",
        "Proofs that were not believed, or no more",
        ("cause",),
        lambda service: _by(service.hub.refused.items()),
    ),
    Family(
        "actr_signaling_kept_apart_total",
        "counter",
        "Not shown or not relayed, by the access rules",
        ("what",),
        lambda service: _by(service.hub.meetings.refused.items()),
    ),
    Family(
        "actr_signaling_wires",
        "gauge",
        "Wires between actors that go through here",
        (),
        lambda service: _one(len(service.hub.wires.table)),
    ),
    Family(
        "actr_signaling_wires_opened_total",
        "counter",
        "Wires between actors that went through here",
        (),
        lambda service: _one(service.hub.wires.table.opened),
    ),
    Family(
        "actr_signaling_wires_bytes_total",
        "counter",
        "Bytes that were passed on between two ends of such wires",
        (),
        lambda service: _one(service.hub.wires.passed_bytes),
    ),
    Family(
        "actr_signaling_wires_refused_total",
        "counter",
        "Wires that were not made here",
        ("cause",),
        lambda service: _by(
            (why.value, count) for why, count in service.hub.wires.table.refused.items()
        ),
    ),
    Spread(
        "actr_signaling_join_duration_seconds",
        "From the upgrade of a connection to its first registration",
        lambda service: service.hub.registrar.joins,
    ),
    Spread(
        "actr_signaling_store_duration_seconds",
        "Round trips to Redis, each of all commands that go together; none without Redis",
        lambda service: service.store,
    ),
    Spread(
        "actr_signaling_loop_lag_seconds",
        "How late the loop was, looked at twice a second",
        lambda service: service.lag.durations,
    ),
)
