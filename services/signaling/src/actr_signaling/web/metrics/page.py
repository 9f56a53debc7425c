"""The page ``/metrics``, and who is given it.

On the port that everybody reaches it is for this machine alone: how many actors there are and how
often which proof fails is the operator's business. A Prometheus of another machine asks at an
address of its own, ``METRICS_LISTEN``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

from prometheus_client import ProcessCollector
from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from actr_signaling.protocol.loopback import is_here
from actr_signaling.settings import PREFIX
from actr_signaling.web.metrics.families import FAMILIES
from actr_signaling.web.service import Service

PATH: Final = "/metrics"
ELSEWHERE: Final = (
    f"Metrics are for this machine here; {PREFIX}METRICS_LISTEN=host:port tells them to others.\n"
)

_process = ProcessCollector(registry=None)


def page(service: Service, accept: str) -> Response:
    """The numbers of this moment, in the form that is asked for."""
    encode, form = choose_encoder(accept)
    return Response(encode(cast("CollectorRegistry", _Snapshot(service))), media_type=form)


class _Snapshot:
    """What an encoder asks for its metrics."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES:
            yield family.of(self._service)
        yield from _process.collect()


def answer_here(service: Service, request: Request) -> Response:
    """The page for who asks on the port that everybody reaches."""
    peer = "" if request.client is None else request.client.host
    if not is_here(peer, request.headers.get("host", "")):
        return PlainTextResponse(ELSEWHERE, 403)
    return page(service, request.headers.get("accept", ""))
