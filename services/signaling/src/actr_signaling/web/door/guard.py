"""Shell: what a TCP connection must do before it is anyone: send one whole request, soon.

uvicorn has no time-out for a head or a body: a hundred connections that send one byte each hold
for ever. Here a connection has one request, small and in time, and takes its turn
(:mod:`actr_signaling.web.turns`); then it is a WebSocket, or answered with a page and closed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import structlog
from uvicorn.protocols.utils import get_remote_addr

from actr_signaling.protocol.shares import Flow
from actr_signaling.protocol.websocket.request import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    Standing,
    expects,
    judge,
)
from actr_signaling.protocol.websocket.upgrade import Upgrade, is_upgrade, read_upgrade
from actr_signaling.web.door.doors import Doors, network_of
from actr_signaling.web.door.joined import JoinedSocket
from actr_signaling.web.door.page import Page
from actr_signaling.web.door.tcp import watch_path, watch_reader
from actr_signaling.web.turns import Turns
from actr_signaling.web.websocket import Socket

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

log = structlog.get_logger()

REQUEST_SECONDS = 3.0
"""For a whole request, head and body."""
PAGE_SECONDS = 0.000_5
"""What a page costs after its request is parsed, about: counted in the turn that parses it."""
MAX_INPUT_BYTES = MAX_HEAD_BYTES + MAX_BODY_BYTES
LINGER = 1.0
"""Seconds to the reset after a refusal: a reset at once would overtake it."""
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TOO_SLOW = b"408 Request Timeout"
_network_of = lru_cache(maxsize=4096)(network_of)
Greet = Callable[[Socket, Upgrade], None]
"""Give a new socket its session, which takes what arrives."""


class Guard(asyncio.Protocol):
    """One TCP connection until its request is there; made by uvicorn's server.

    Args:
        doors: How many there may be.
        turns: Which it takes with all others.
        greet: Takes over who asks for a WebSocket; None: a service of pages only.
    """

    def __init__(
        self,
        doors: Doors,
        turns: Turns,
        greet: Greet | None,
        *,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.share = Flow("")
        self._doors = doors
        self._turns = turns
        self._greet = greet
        self._config = config
        self._server_state = server_state
        self._connections: set[Any] = server_state.connections
        """What uvicorn shuts down: this one, or what becomes of it."""
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._address: str | None = None
        """Whose place it has, until it is closed."""
        self._is_refused = False
        self._has_word = False
        """It was told to go on with its body."""
        self._input = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        client = get_remote_addr(transport)
        address = _network_of(client[0]) if client else "local"
        if not self._doors.enter(address, self._loop.time()):
            log.warning("connection refused: too many", address=address)
            transport.write(_BUSY)
            transport.close()
            return
        self._connections.add(self)
        self._address = address
        self.share = Flow(address)
        self._doors.listen(address, self, transport.abort)
        self._timer = self._loop.call_later(REQUEST_SECONDS, self._refuse, _TOO_SLOW)

    def data_received(self, data: bytes) -> None:
        if self._address is None or self._is_away:
            return
        room = MAX_INPUT_BYTES - len(self._input)
        self._input += data[:room]
        standing = judge(self._input)
        if standing is Standing.WHOLE and len(data) > room:
            standing = Standing.BODY_TOO_LONG  # of frames, before the upgrade is answered
        if standing is Standing.PARTIAL:
            if not self._has_word and expects(self._input):
                self._has_word = True
                assert self._transport is not None
                self._transport.write(_CONTINUE)
            return
        if standing is not Standing.WHOLE:
            self._refuse(standing.value)
        elif self._timer is not None:
            self._stop_timer()
            self._doors.heard(self._address, self)
            # While it waits for its turn it is read: else its end would not be seen, and those
            # who have given up would be served in place of those who have not.
            self._turns.enter(self)

    def eof_received(self) -> bool:
        """It says no more, which ends it; only who waits for a page may do so and still read it.

        Who asks for a WebSocket has given up by that: nobody else would be served in its place.
        """
        is_waiting = self._timer is None and bool(self._input)
        return is_waiting and not (self._greet is not None and is_upgrade(bytes(self._input)))

    def work(self, until: float) -> bool:
        """Take the request; always all of it, for it is little."""
        del until
        if self._address is None or self._is_away:
            return False
        data, self._input = bytes(self._input), bytearray()
        if self._greet is not None and is_upgrade(data):
            self._upgrade(data, self._greet)
        else:
            self._show_page(data)
        return False

    def fail(self) -> None:
        assert self._transport is not None
        self._transport.abort()

    def shutdown(self) -> None:
        """The server stops: this one has asked for nothing yet."""
        assert self._transport is not None
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()

    @property
    def _is_away(self) -> bool:
        return self._is_refused or self._transport is None or self._transport.is_closing()

    def _upgrade(self, data: bytes, greet: Greet) -> None:
        transport = self._transport
        assert transport is not None
        upgrade = read_upgrade(data)
        if isinstance(upgrade, bytes):
            transport.write(upgrade)
            transport.close()
            return
        watch_path(transport)
        self._connections.discard(self)
        kind = JoinedSocket if upgrade.is_wire else Socket
        socket = kind(
            transport,
            self._turns,
            self.share,
            open_sockets=self._connections,
            lost=self._leave,
            lags=lambda: watch_reader(transport, is_slow=socket.is_slow),
        )
        transport.set_protocol(socket)
        socket.send_head(upgrade.response)
        greet(socket, upgrade)
        if upgrade.rest:
            socket.data_received(upgrade.rest)

    def _show_page(self, data: bytes) -> None:
        transport = self._transport
        assert transport is not None
        self._turns.spend(PAGE_SECONDS)
        page = Page(self._config, self._server_state, self._app_state, self._loop, lost=self._leave)
        self._connections.discard(self)
        page.answer(transport, data)

    def _refuse(self, status: bytes) -> None:
        """Answer with nothing but a status; take nothing more, and let go soon."""
        transport = self._transport
        assert transport is not None
        self._is_refused = True
        self._input.clear()
        self._stop_timer()
        if self._address is not None:
            self._doors.heard(self._address, self)
        transport.write(b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status)
        transport.pause_reading()
        with contextlib.suppress(OSError):  # the far side has ended it already
            transport.write_eof()
        self._timer = self._loop.call_later(LINGER, transport.abort)

    def _leave(self) -> None:
        """The TCP connection is gone."""
        self._connections.discard(self)
        self._stop_timer()
        address, self._address = self._address, None
        if address is not None:
            self._doors.heard(address, self)
            self._doors.leave(address)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def guarded(doors: Doors, turns: Turns, greet: Greet | None = None) -> Any:
    """What uvicorn's server makes of each TCP connection: its ``http`` class, for its types."""
    return partial(Guard, doors, turns, greet)
