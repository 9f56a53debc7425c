"""Shell: the issuer as a process of its own: bind, serve, stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import structlog
import uvicorn

from actr_signaling.issuer.office import Office
from actr_signaling.issuer.settings import PREFIX, Settings
from actr_signaling.issuer.web.app import build_app
from actr_signaling.web.door.doors import Doors
from actr_signaling.web.door.guard import guarded
from actr_signaling.web.listening import Server, bind, host_of
from actr_signaling.web.turns import Turns

log = structlog.get_logger()

STOP_SECONDS = 3
"""For requests that are under way."""


async def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        ready: Called once with the URL, when connections are accepted.

    Raises:
        ConfigError: If a file cannot be used or the address cannot be bound.
    """
    listener = bind(settings.host, settings.port, f"{PREFIX}LISTEN={settings.listen!r}")
    url = f"http://{host_of(listener)}"
    doors = Doors(
        max_connections=settings.max_connections,
        max_per_address=settings.max_connections_per_address,
        rate_per_address=settings.connections_per_second,
    )
    with listener:
        async with Office(settings) as office:
            server = Server(
                uvicorn.Config(
                    build_app(office),
                    http=guarded(doors, Turns()),
                    ws="none",
                    lifespan="off",
                    log_config=None,
                    access_log=False,
                    proxy_headers=False,
                    server_header=False,
                    date_header=False,
                    h11_max_incomplete_event_size=16 * 1024,
                    timeout_graceful_shutdown=STOP_SECONDS,
                ),
                ready=lambda: ready(url),
            )
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, server.leave)
            log.info("issuer", home=str(settings.home), listen=url)
            await server.serve(sockets=[listener])
