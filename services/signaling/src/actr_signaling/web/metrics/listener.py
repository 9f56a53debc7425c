"""Shell: the page ``/metrics`` at an address of its own, for a Prometheus of another machine."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Final, Self

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actr_signaling.settings import PREFIX, Settings, split_listen
from actr_signaling.tasks import Tasks
from actr_signaling.web.door.doors import Doors
from actr_signaling.web.door.guard import guarded
from actr_signaling.web.listening import Server, bind, host_of
from actr_signaling.web.metrics.page import PATH, page
from actr_signaling.web.service import Service
from actr_signaling.web.turns import Turns

log = structlog.get_logger()

MAX_CONNECTIONS: Final = 8


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
