"""Shell: one request for a page, and its answer: uvicorn's protocol, for a connection of one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState


class Page(H11Protocol):
    """What a TCP connection is that has sent one whole request, and no upgrade.

    Args:
        lost: Called once when the TCP connection is gone.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
        lost: Callable[[], None],
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._lost = lost

    def answer(self, transport: asyncio.Transport, request: bytes) -> None:
        """Take the connection over, with the request that has come on it."""
        self.connection_made(transport)
        transport.set_protocol(self)
        super().data_received(request)
        if self.cycle is not None and CLOSE_HEADER not in self.cycle.scope["headers"]:
            # No further request: it would need a time-out and a share of its own.
            self.cycle.keep_alive = False
            self.cycle.scope["headers"] = [*self.cycle.scope["headers"], CLOSE_HEADER]

    def data_received(self, data: bytes) -> None:
        """A second request, of which nobody will read an answer."""

    def _should_upgrade(self) -> bool:
        """To nothing: for a WebSocket it is the wrong place, which its 404 says."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lost()
