"""Shell: what a TCP connection must do before it is anyone: send one whole request, soon.

uvicorn has no time-out for a head or a body: a hundred connections that send one byte each hold
for ever. Here a connection has one request, small and in time, and takes its turn
(:mod:`actr_signaling.web.turns`); then it is a WebSocket, or answered and closed.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, ClassVar

import h11
import structlog
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from actr_signaling.protocol.shares import Flow
from actr_signaling.protocol.websocket.request import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    Standing,
    judge,
)
from actr_signaling.web.doors import Doors, network_of
from actr_signaling.web.turns import Turns
from actr_signaling.web.websocket import Socket

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

log = structlog.get_logger()

REQUEST_SECONDS = 3.0
"""For a whole request, head and body."""
ROUTE_SECONDS = 0.000_5
"""What a request costs after it is parsed, about: counted in the turn that parses it."""
LINGER = 1.0
"""Seconds to the reset after a refusal: a reset at once would overtake it."""
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_SLOW = b"408 Request Timeout"


class GuardedProtocol(H11Protocol):
    """One TCP connection until it is upgraded or closed: uvicorn's, with bounds."""

    doors: ClassVar[Doors]
    turns: ClassVar[Turns]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.share = Flow("")
        self._timer: asyncio.TimerHandle | None = None
        self._address: str | None = None
        """Whose place it has, until it is closed."""
        self._is_refused = False
        self._input = bytearray()
        self._is_parsed = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = network_of(self.client[0]) if self.client else "local"
        if not self.doors.enter(address, self.loop.time()):
            log.warning("connection refused: too many", address=address)
            transport.write(_BUSY)
            transport.close()
            return
        self._address = address
        self.share = Flow(address)
        self.doors.listen(address, self, transport.abort)
        self._timer = self.loop.call_later(REQUEST_SECONDS, self._refuse, _TOO_SLOW)

    def data_received(self, data: bytes) -> None:
        if self._is_refused or self._address is None or self.transport.is_closing():
            return
        if self._is_parsed:
            return  # a second request, of which nobody will read an answer
        self._input += data[: MAX_BODY_BYTES + MAX_HEAD_BYTES]
        standing = judge(self._input)
        if standing is Standing.PARTIAL:
            return
        if standing is not Standing.WHOLE:
            self._refuse(standing.value)
            return
        self._stop_timer()
        self.doors.heard(self._address, self)
        if not self.turns.enter(self):
            self.transport.pause_reading()

    def work(self, until: float) -> bool:
        """Parse the request; always all of it, for it is little."""
        del until
        if self._is_refused or self.transport.is_closing():
            return False
        data, self._input = bytes(self._input), bytearray()
        self.turns.spend(ROUTE_SECONDS)
        self._is_parsed = True
        super().data_received(data)
        if self.transport.get_protocol() is self:
            self._serve_one_only()
            self.transport.resume_reading()
        return False

    def fail(self) -> None:
        self.transport.abort()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        super().handle_websocket_upgrade(event)
        socket = self.transport.get_protocol()
        assert isinstance(socket, Socket)
        socket.admit(self.turns, self.share, self._leave)
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._leave()

    def _serve_one_only(self) -> None:
        """No further request: it would need a time-out and a share of its own."""
        if self.cycle is not None and CLOSE_HEADER not in self.cycle.scope["headers"]:
            self.cycle.keep_alive = False
            self.cycle.scope["headers"] = [*self.cycle.scope["headers"], CLOSE_HEADER]

    def _refuse(self, status: bytes) -> None:
        """Answer with nothing but a status; take nothing more, and let go soon."""
        self._is_refused = True
        self._input.clear()
        if self.cycle is not None:  # its route is to say no more
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._stop_timer()
        if self._address is not None:
            self.doors.heard(self._address, self)
        self.transport.write(
            b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status
        )
        self.transport.pause_reading()
        with contextlib.suppress(OSError):  # the far side has ended it already
            self.transport.write_eof()
        self._timer = self.loop.call_later(LINGER, self.transport.abort)

    def _leave(self) -> None:
        self._stop_timer()
        address, self._address = self._address, None
        if address is not None:
            self.doors.heard(address, self)
            self.doors.leave(address)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def guarded(doors: Doors, turns: Turns) -> type[GuardedProtocol]:
    """The protocol for one server, whose connections go through ``doors`` and take turns."""
    return type("GuardedProtocol", (GuardedProtocol,), {"doors": doors, "turns": turns})
