"""The page ``/metrics``, and who is given it.

On the port that everybody reaches it is for this machine alone: how many actors there are and how
often which proof fails is the operator's business. A Prometheus of another machine asks at an
address of its own, ``METRICS_LISTEN``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Final, Self, cast

import structlog
import uvicorn
from prometheus_client import ProcessCollector
from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from actr_signaling.protocol.loopback import is_loopback, is_name_of_here
from actr_signaling.settings import PREFIX, Settings, split_listen
from actr_signaling.tasks import Tasks
from actr_signaling.web.door.doors import Doors
from actr_signaling.web.door.guard import guarded
from actr_signaling.web.listening import Server, bind, host_of
from actr_signaling.web.metrics.families import FAMILIES
from actr_signaling.web.service import Service
from actr_signaling.web.turns import Turns

log = structlog.get_logger()

PATH: Final = "/metrics"
MAX_CONNECTIONS: Final = 8
"""At the address of its own."""
ELSEWHERE: Final = (
    f"Metrics are for this machine here; {PREFIX}METRICS_LISTEN=host:port tells them to others.\n"
)

_process = ProcessCollector(registry=None)


def is_here(request: Request) -> bool:
    """Whether a request comes from this machine, and not by a name that was made to lead here."""
    peer = "" if request.client is None else request.client.host
    return is_loopback(peer) and is_name_of_here(request.headers.get("host", ""))


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


class Listener:
    """Tells them at an address of their own, for as long as its block lasts; without one it does
    nothing.

    Raises:
        ConfigError: If the address cannot be bound.
    """

    def __init__(self, settings: Settings, service: Service) -> None:
        self.url = ""
        self._listen = settings.metrics_listen
        self._service = service
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if not self._listen:
            return self
        host, port = split_listen(self._listen)
        shown = f"{PREFIX}METRICS_LISTEN={self._listen!r}"
        listener = self._stack.enter_context(bind(host, port, shown))
        self.url = f"http://{host_of(listener)}{PATH}"
        doors = Doors(max_connections=MAX_CONNECTIONS, max_per_address=MAX_CONNECTIONS)
        server = Server(
            uvicorn.Config(
                Starlette(routes=[Route(PATH, self._answer)]),
                http=guarded(doors, Turns()),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                h11_max_incomplete_event_size=4 * 1024,
                timeout_graceful_shutdown=1,
            ),
            ready=lambda: log.info("metrics", listen=self.url),
        )
        tasks = await self._stack.enter_async_context(Tasks("metrics"))
        serving = tasks.start("server", server.serve(sockets=[listener]))

        async def leave() -> None:
            server.leave()
            await serving

        self._stack.push_async_callback(leave)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _answer(self, request: Request) -> Response:
        return page(self._service, request.headers.get("accept", ""))


def answer_here(service: Service, request: Request) -> Response:
    """The page for who asks on the port that everybody reaches."""
    if not is_here(request):
        return PlainTextResponse(ELSEWHERE, 403)
    return page(service, request.headers.get("accept", ""))
