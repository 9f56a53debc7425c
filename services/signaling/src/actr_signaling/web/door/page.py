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

STALL_SECONDS = 5.0
"""In which who reads a page reads some of it."""
MOST_SECONDS = 60.0
"""For all of it."""


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
        self._asked_at = loop.time()
        self._unsent = 0
        self._timer = loop.call_later(STALL_SECONDS, self._look)

    def answer(self, transport: asyncio.Transport, request: bytes) -> None:
        """Take the connection over, with the request that has come on it."""
        self.connection_made(transport)
        transport.set_protocol(self)
        super().data_received(request)
        if self.cycle is not None and CLOSE_HEADER not in self.cycle.scope["headers"]:
            # No further request: it would need a time-out and a share of its own.
            self.cycle.keep_alive = False
            self.cycle.scope["headers"] = [*self.cycle.scope["headers"], CLOSE_HEADER]

    def eof_received(self) -> bool:  # type: ignore[override]  # the loop asks for it
        """The far side says no more; what it has asked for it may still read."""
        return self.cycle is not None and not self.cycle.response_complete

    def _look(self) -> None:
        """Let go who does not read: what is written to it is kept until it does."""
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        is_late = self.loop.time() >= self._asked_at + MOST_SECONDS
        if is_late or (before and self._unsent >= before):
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(STALL_SECONDS, self._look)

    def data_received(self, data: bytes) -> None:
        """A second request, of which nobody will read an answer."""

    def _should_upgrade(self) -> bool:
        """To nothing: for a WebSocket it is the wrong place, which its 404 says."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._timer.cancel()
        self._lost()
