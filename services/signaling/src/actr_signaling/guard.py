"""Shell: what a TCP connection must do before it is anyone: send a whole request head, soon.

uvicorn has no time-out for it: a hundred connections that send one byte each hold for ever.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from actr_signaling.protocol.limits import Bucket
from actr_signaling.websocket import Socket

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

log = structlog.get_logger()

HEAD_SECONDS = 3.0
"""For a whole request head, the first and any later one."""
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_MAX_ADDRESSES = 16_384


@dataclass(slots=True, kw_only=True)
class Doors:
    """How many TCP connections there may be, over all and for each address."""

    max_connections: int = 20_000
    max_per_address: int = 2_000  # replicas behind one proxy or one NAT are one address
    rate_per_address: float = 200.0
    """New connections per second."""
    burst_per_address: float = 1_000.0
    _open: Counter[str] = field(default_factory=Counter)
    _total: int = 0
    _buckets: OrderedDict[str, Bucket] = field(default_factory=OrderedDict)

    def enter(self, address: str, now: float) -> bool:
        """Count a new connection in; False: it is one too many, and is not counted."""
        if self._total >= self.max_connections or self._open[address] >= self.max_per_address:
            return False
        bucket = self._buckets.pop(address, None)
        if bucket is None:
            bucket = Bucket(self.rate_per_address, self.burst_per_address, now)
        self._buckets[address] = bucket  # newest last
        while len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        if not bucket.take(1, now):
            return False
        self._total += 1
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._total -= 1
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]


class GuardedProtocol(H11Protocol):
    """One TCP connection until it is upgraded or closed: uvicorn's, with a head time-out."""

    doors: ClassVar[Doors]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_timer: asyncio.TimerHandle | None = None
        self._address: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.client[0] if self.client else "local"
        if not self.doors.enter(address, self.loop.time()):
            log.warning("connection refused: too many", address=address)
            transport.write(_BUSY)
            transport.close()
            return
        self._address = address
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._await_head()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_head_timer()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        super().handle_websocket_upgrade(event)
        socket = self.transport.get_protocol()
        assert isinstance(socket, Socket)
        socket.on_lost = self._leave

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._leave()

    def _leave(self) -> None:
        self._stop_head_timer()
        address, self._address = self._address, None
        if address is not None:
            self.doors.leave(address)

    def _await_head(self) -> None:
        if self._head_timer is None and self.conn.their_state is h11.IDLE:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def guarded(doors: Doors) -> type[GuardedProtocol]:
    """The protocol for one server, whose connections go through ``doors``."""
    return type("GuardedProtocol", (GuardedProtocol,), {"doors": doors})
