"""Shell: uvicorn's WebSocket with frames handed over as they are parsed, and a close that arrives.

ASGI's queue and dictionaries are most of what a relayed message costs, and ASGI cannot cut a
connection whose reader is slow. So the upgrade, the route and the handshake stay FastAPI's, and
after :meth:`Socket.attach` frames pass from the splitter to the session in one call. Written
against uvicorn 0.54's ``websockets-sansio`` implementation.

What one connection can cost: every frame is counted, its frames are taken in turns with those of
others (:mod:`actr_signaling.web.turns`), nothing of it is taken while it leaves its answers
unread, and after a close frame nothing is parsed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from enum import Enum, auto
from time import perf_counter
from typing import Protocol

import structlog
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame as LibraryFrame
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.protocol import State

from actr_signaling.errors import Close
from actr_signaling.protocol.shares import Flow
from actr_signaling.protocol.websocket import frames
from actr_signaling.protocol.websocket.frames import Frame, FrameError, Kind, Splitter
from actr_signaling.protocol.websocket.request import OTHER_VERSION
from actr_signaling.web import tcp
from actr_signaling.web.turns import Outgoing, Turns

log = structlog.get_logger()

SCOPE_KEY = "actr.socket"
"""Under the ASGI scope's extensions: this socket."""
SLOW_BYTES = 128 * 1024
"""Unsent, from which on nothing more is taken from a connection, until it has read some."""
MAX_RELAYED_BYTES = 512 * 1024
"""Unsent, from which on others may not add to it: a flood is not to cut its victim."""
MAX_UNSENT_BYTES = 1024 * 1024
"""A reader that lags by more when something is to be sent is cut; one message may be larger."""
MAX_EARLY_BYTES = 64 * 1024
"""Of what waits for its turn, or for the route to attach its session; then reading is paused."""
PENALTY = 1.0
"""Seconds until one that was too fast hears its close: coming back costs what 100 messages do."""
LINGER = 1.0
"""Seconds to the reset after a close frame: a reset at once would overtake it."""
LINGER_BYTES = 64 * 1024
"""To read and throw away meanwhile; after them nothing is read."""


class Receiver(Protocol):
    """Who takes the frames."""

    def arrived(self, size: int) -> bool:
        """Count a frame of any kind; False: it was one too many, and the socket is finished."""

    def received(self, data: bytes | str) -> None:
        """One whole message."""

    def relieved(self) -> None:
        """The far side has read what it lagged behind."""

    def closed(self) -> None:
        """Nothing arrives any more; called once."""


class Phase(Enum):
    OPEN = auto()
    LEAVING = auto()
    """A close frame is sent; what comes is thrown away."""


class Socket(WebSocketsSansIOProtocol):
    """One WebSocket connection of this service."""

    turns: Turns
    share: Flow
    _lost: Callable[[], None]
    is_slow = False
    """Whether the far side leaves unread what it was told."""
    _phase = Phase.OPEN
    _receiver: Receiver | None = None
    _splitter: Splitter | None = None
    """From the upgrade on."""
    _is_held = False
    """Whether reading is paused."""
    _thrown_away = 0
    _linger_timer: asyncio.TimerHandle | None = None

    def admit(self, turns: Turns, share: Flow, lost: Callable[[], None]) -> None:
        """Let it take part, before anything else: uvicorn makes it, and knows none of these.

        Args:
            lost: Called once when the TCP connection is gone.
        """
        self.turns, self.share, self._lost = turns, share, lost
        self._outgoing = Outgoing(turns, self.transport, limit=SLOW_BYTES)

    def attach(self, receiver: Receiver) -> None:
        """Hand everything to ``receiver`` from now on, in place of ASGI's queue."""
        self._receiver = receiver
        if self.conn.state is not State.OPEN or self._phase is not Phase.OPEN:
            self._report_closed()
            return
        self.transport.set_write_buffer_limits(high=SLOW_BYTES)
        self._go_on()  # with what came between the upgrade and now

    def send_message(self, data: bytes | str, *, is_relay: bool = False) -> bool:
        """Write one message at the end of this turn; False: it is gone, or too slow.

        Who is too slow for its own answers is cut; a relay is then only not taken.
        """
        if self._phase is not Phase.OPEN:
            return False
        unsent = self._outgoing.unsent()
        if is_relay and unsent > MAX_RELAYED_BYTES:
            return False
        if unsent > MAX_UNSENT_BYTES:
            log.warning("reader cut: too slow", address=self.client)
            self.transport.abort()
            return False
        frame = frames.text(data) if isinstance(data, str) else frames.binary(data)
        self._outgoing.add(frame, unsent)
        return True

    def finish(self, code: int, reason: str) -> None:
        """Send a close frame, in a while to one that was too fast, and close, in the end by force.

        Harmless when called again.
        """
        if self._phase is not Phase.OPEN or self.transport.is_closing():
            return
        self._leave()
        if code == Close.TOO_FAST:
            self._hold()
            last = frames.close(code, reason)
            self._linger_timer = self.loop.call_later(PENALTY, self._close, last)
            self.close_timer = self._linger_timer
        else:
            self._close(frames.close(code, reason))

    def _close(self, close_frame: bytes) -> None:
        """Say it, and let the far side end the connection."""
        if self.transport.is_closing():
            return
        self._outgoing.add(close_frame)
        self._outgoing.flush()
        self._release()
        # So that a far side that understands ends the connection.
        with contextlib.suppress(OSError):  # it has ended it already
            self.transport.write_eof()
        self._linger_timer = self.loop.call_later(LINGER, self.transport.abort)
        # uvicorn closes the transport when the route returns, unless this is set.
        self.close_timer = self._linger_timer

    # Worker

    def work(self, until: float) -> bool:
        """Take frames; True: more may be waiting."""
        splitter = self._splitter
        assert splitter is not None
        while self._receiver is not None:
            if self.is_slow:
                self._hold()
                return False  # resume_writing goes on
            try:
                frame = splitter.next()
                if frame is None:
                    self._release()
                    return False
                self._take(frame, self._receiver)
            except FrameError as error:
                self.finish(error.code, error.message)
                return False
            if perf_counter() >= until:
                return True
        return False

    def fail(self) -> None:
        self.transport.abort()

    def _take(self, frame: Frame, receiver: Receiver) -> None:
        if not receiver.arrived(frame.size):
            return
        match frame.kind:
            case Kind.BINARY:
                receiver.received(frame.data)
            case Kind.TEXT:
                receiver.received(frames.read_text(frame.data))
            case Kind.PING:
                self._outgoing.add(frames.pong(frame.data))
            case Kind.PONG:
                if frame.data == self.pending_ping_payload:
                    self.handle_pong(LibraryFrame(Opcode.PONG, frame.data))
            case Kind.CLOSE:
                code = int.from_bytes(frame.data[:2], "big") if frame.data else None
                self._leave()
                self._outgoing.add(frames.close(code))
                self._outgoing.flush()
                self.transport.close()
            case Kind.PIECE:
                pass

    def _go_on(self) -> None:
        assert self._splitter is not None
        if not self.turns.enter(self) and len(self._splitter) > MAX_EARLY_BYTES:
            self._hold()

    def _hold(self) -> None:
        if not self._is_held and not self.transport.is_closing():
            self._is_held = True
            self.transport.pause_reading()

    def _release(self) -> None:
        if self._is_held and not self.transport.is_closing():
            self._is_held = False
            self.transport.resume_reading()

    # uvicorn's hooks

    def handle_connect(self, event: Request) -> None:
        tcp.watch_path(self.transport)
        if event.headers.get("Sec-WebSocket-Version") != "13":
            self.transport.write(OTHER_VERSION)
            self.transport.close()
            return
        super().handle_connect(event)
        if hasattr(self, "scope"):
            assert self.config.ws_max_size is not None
            self._splitter = Splitter(self.config.ws_max_size)
            extensions = self.scope["extensions"]
            assert extensions is not None
            extensions[SCOPE_KEY] = self  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._splitter is None:
            super().data_received(data)
        elif self._phase is Phase.LEAVING:
            self._thrown_away += len(data)
            if self._thrown_away > LINGER_BYTES:
                self._hold()
        else:
            self._splitter.feed(data)
            if self._receiver is not None:
                self._go_on()
            elif len(self._splitter) > MAX_EARLY_BYTES:
                self._hold()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.is_slow = True

    def resume_writing(self) -> None:
        super().resume_writing()
        self.is_slow = False
        if self._receiver is not None:
            self._receiver.relieved()
        if self._receiver is not None:
            self._go_on()

    def keepalive_timeout(self) -> None:
        self.finish(1011, "no pong in time")

    def handle_parser_exception(self) -> None:
        """The head of the upgrade is none, for the library: uvicorn would never answer it."""
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
        self.transport.close()

    def shutdown(self) -> None:
        if self._receiver is None:
            super().shutdown()
        else:
            self.finish(Close.RESTART, "this replica goes away")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        super().connection_lost(exc)
        self._outgoing.drop()
        self._report_closed()
        self._lost()

    def _leave(self) -> None:
        """Take nothing more."""
        self._phase = Phase.LEAVING
        self.close_sent = True  # for uvicorn
        self._splitter = Splitter(0)  # what waits is noise
        self.stop_keepalive()
        self._report_closed()

    def _report_closed(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.closed()
