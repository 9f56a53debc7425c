"""What the issuer counts, in the text form of Prometheus: no label takes values from outside."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from actr_signaling.issuer.protocol.actors import Way
from actr_signaling.issuer.protocol.causes import Cause
from actr_signaling.issuer.register.upkeep import Counts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """One issuer's, in a registry of its own: several may be in one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._enrolled = Counter(
            "actr_issuer_enrolled", "Keys enrolled", ["way"], registry=registry
        )
        self._renewed = Counter("actr_issuer_renewed", "Certificates renewed", registry=registry)
        self._refused = Counter(
            "actr_issuer_refused", "Requests refused", ["cause"], registry=registry
        )
        self._alive = Gauge(
            "actr_issuer_certificates_alive", "Keys with a certificate", registry=registry
        )
        self._keys = Gauge("actr_issuer_keys_enrolled", "Keys in the register", registry=registry)
        self._revoked = Gauge(
            "actr_issuer_keys_revoked", "Keys told of as revoked", registry=registry
        )
        self._tokens = Gauge("actr_issuer_tokens_waiting", "Join tokens unused", registry=registry)
        self._seconds = Histogram(
            "actr_issuer_request_seconds",
            "From a request's head to its answer",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        for way in Way:  # that each series is there before it has a value
            self._enrolled.labels(way)
        for cause in Cause:
            self._refused.labels(cause)

    def enrolled(self, way: Way) -> None:
        self._enrolled.labels(way).inc()

    def renewed(self) -> None:
        self._renewed.inc()

    def refused(self, cause: Cause) -> None:
        self._refused.labels(cause).inc()

    def took(self, route: str, seconds: float) -> None:
        """Count a request.

        Args:
            route: A path of this service's own.
        """
        self._seconds.labels(route).observe(seconds)

    def show(self, counts: Counts) -> bytes:
        self._alive.set(counts.alive)
        self._keys.set(counts.enrolled)
        self._revoked.set(counts.revoked)
        self._tokens.set(counts.waiting_tokens)
        return generate_latest(self._registry)
