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
from actr_signaling.protocol.websocket.request_head import MAX_HEAD_BYTES, Head, judge
from actr_signaling.web.doors import Doors, network_of
from actr_signaling.web.turns import Turns
from actr_signaling.web.websocket import Socket

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

log = structlog.get_logger()

REQUEST_SECONDS = 3.0
"""For a whole request, head and body."""
MAX_BODY_BYTES = 8 * 1024
"""No page of this service takes one."""
ROUTE_SECONDS = 0.000_5
"""What a request costs after it is parsed, about: counted in the turn that parses it."""
LINGER = 1.0
"""Seconds to the reset after a refusal: a reset at once would overtake it."""
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE = b"431 Request Header Fields Too Large"
_TOO_SLOW = b"408 Request Timeout"
_TOO_LONG = b"413 Content Too Large"


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
        self._taken = 0
        """Bytes of the request that the parser has."""

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
        self._timer = self.loop.call_later(REQUEST_SECONDS, self._too_slow)

    def data_received(self, data: bytes) -> None:
        if self._is_refused or self._address is None or self.transport.is_closing():
            return
        self._input += data[: MAX_BODY_BYTES + MAX_HEAD_BYTES]
        if not self._taken:
            match judge(self._input):
                case Head.PARTIAL:
                    return
                case Head.TOO_LARGE:
                    self._refuse(_TOO_LARGE)
                    return
                case Head.WHOLE:
                    self.doors.heard(self._address, self)
        elif self._taken + len(self._input) > MAX_BODY_BYTES:
            self._refuse(_TOO_LONG)
            return
        if not self.turns.enter(self):
            self.transport.pause_reading()

    def work(self, until: float) -> bool:
        """Parse what has come; always all of it, for it is little."""
        del until
        if self._is_refused or self.transport.is_closing():
            return False
        data, self._input = bytes(self._input), bytearray()
        if not self._taken:
            self.turns.spend(ROUTE_SECONDS)
        self._taken += len(data)
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
        self._stop_timer()
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
        if self.conn.their_state is not h11.IDLE and self.conn.their_state is not h11.SEND_BODY:
            self._stop_timer()

    def _too_slow(self) -> None:
        if self.cycle is not None and self.cycle.response_started:
            self.transport.abort()  # answered already: only its body is still on the way
        else:
            self._refuse(_TOO_SLOW)

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
