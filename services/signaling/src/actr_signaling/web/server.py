"""Shell: one replica of the service on uvicorn: bind, serve, drain."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import structlog
import uvicorn

from actr_signaling.settings import PREFIX, Settings
from actr_signaling.tasks import Tasks
from actr_signaling.web.app import Mounted, build_app
from actr_signaling.web.door.doors import Doors
from actr_signaling.web.door.guard import guarded
from actr_signaling.web.listening import Server, bind, host_of
from actr_signaling.web.metrics.listener import Listener
from actr_signaling.web.service import Service
from actr_signaling.web.turns import Turns

log = structlog.get_logger()

STOP_SECONDS = 3
"""After the drain, for the last requests and close frames."""


class Replica:
    """One running signaling service: bind, serve, drain.

    Args:
        settings: Its ``listen`` may have port 0.
        ready: Called once with the URL, when connections are accepted.
        mounted: Another application to serve beside it.

    Raises:
        ConfigError: If a secret cannot be read or the address cannot be bound.
    """

    def __init__(
        self,
        settings: Settings,
        ready: Callable[[str], None] = lambda url: None,
        mounted: Mounted | None = None,
    ) -> None:
        self.settings = settings
        app = build_app(settings, mounted)
        service = app.state.service
        assert isinstance(service, Service)
        self.service = service
        self._metrics = Listener(settings, service)
        self._listener = bind(settings.host, settings.port, f"{PREFIX}LISTEN={settings.listen!r}")
        doors = Doors(
            max_connections=settings.max_connections,
            max_per_address=settings.max_connections_per_address,
            rate_per_address=settings.connections_per_second,
        )
        self._server = Server(
            uvicorn.Config(
                app,
                http=guarded(doors, Turns(), service.greet),
                ws="none",  # the guard makes them
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                h11_max_incomplete_event_size=16 * 1024,
                timeout_graceful_shutdown=STOP_SECONDS,
            ),
            ready=lambda: ready(self.url),
        )

    @property
    def url(self) -> str:
        """Where peers connect."""
        return f"ws://{host_of(self._listener)}/v1/ws"

    @property
    def metrics_url(self) -> str:
        """Where metrics are told to other machines, while it serves; empty: nowhere."""
        return self._metrics.url

    async def serve(self) -> None:
        """Serve until :meth:`leave` or :meth:`drain`; return when everything is closed."""
        async with self._metrics:
            await self._server.serve(sockets=[self._listener])

    async def drain(self) -> None:
        """Send everyone to another replica, then let :meth:`serve` return."""
        hub = self.service.hub
        await hub.drain(self.settings.drain)
        await hub.ledger.flush()
        self._server.leave()

    def leave(self) -> None:
        """Let :meth:`serve` return now; who is connected is closed with 1012."""
        self._server.leave()


async def run(replica: Replica) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends the drain at once."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()

    def stop(name: str) -> None:
        if stopping.is_set():
            replica.leave()
            return
        log.info("draining", signal=name, connections=replica.service.hub.connections)
        stopping.set()

    async def drain() -> None:
        await stopping.wait()
        await replica.drain()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    async with Tasks("signaling") as tasks:
        tasks.start("drain", drain())
        await replica.serve()
