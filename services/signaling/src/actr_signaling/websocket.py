"""Shell: uvicorn's WebSocket with frames handed over as they are parsed, and a close that arrives.

ASGI's queue and dictionaries are most of what a relayed message costs, and ASGI cannot cut a
connection whose reader is slow. So the upgrade, the route and the handshake stay FastAPI's, and
after :meth:`Socket.attach` frames pass from the parser to the session in one call. Written
against uvicorn 0.54's ``websockets-sansio`` implementation.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

import structlog
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

from actr_signaling.errors import Close
from actr_signaling.protocol import frames

log = structlog.get_logger()

SCOPE_KEY = "actr.socket"
"""Under the ASGI scope's extensions: this socket."""
MAX_UNSENT_BYTES = 1024 * 1024
"""A reader that lags by more when something is to be sent is cut; one message may be larger."""
MAX_FRAGMENTS = 64
"""Of one message."""
LINGER = 2.0
"""Seconds to go on reading after a close frame, so that it is not lost in a reset."""


class Receiver(Protocol):
    """Who takes the frames."""

    def received(self, data: bytes | str) -> None:
        """One whole message."""

    def pinged(self, size: int) -> None:
        """A ping frame, already answered."""

    def closed(self) -> None:
        """Nothing arrives any more; called once."""


class Socket(WebSocketsSansIOProtocol):
    """One WebSocket connection of this service."""

    on_lost: Callable[[], None] | None = None
    """Called once when the TCP connection is gone."""
    _receiver: Receiver | None = None
    _splitter: frames.Splitter | None = None
    """From the upgrade on."""
    _is_over = False
    _is_lingering = False
    _linger_timer: asyncio.TimerHandle | None = None

    def attach(self, receiver: Receiver) -> None:
        """Hand everything to ``receiver`` from now on, in place of ASGI's queue."""
        self._receiver = receiver
        if self.conn.state is not State.OPEN:
            self._report_closed()
            return
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        while not self.queue.empty():  # what came between the upgrade and now
            event = self.queue.get_nowait()
            if event["type"] == "websocket.receive":
                receiver.received(event.get("text") or event.get("bytes") or b"")

    def send_message(self, data: bytes | str) -> bool:
        """Write one message; False: it is gone or is being cut because its reader is slow."""
        if self._is_over or self.close_sent:
            return False
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            log.warning("reader cut: too slow", address=self.client)
            self.transport.abort()
            return False
        self.transport.write(frames.text(data) if isinstance(data, str) else frames.binary(data))
        return True

    def finish(self, code: int, reason: str) -> None:
        """Send a close frame and close, in the end by force; harmless when called again."""
        if self.close_sent or self.transport.is_closing():
            return
        if self.conn.state is State.OPEN:
            self.conn.send_close(code, _short(reason))
            self.transport.write(b"".join(self.conn.data_to_send()))
        self._linger()

    # uvicorn's hooks

    def handle_connect(self, event: Request) -> None:
        _watch_path(self.transport)
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self._splitter = frames.Splitter(self.config.ws_max_size)
            extensions = self.scope["extensions"]
            assert extensions is not None
            extensions[SCOPE_KEY] = self  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._splitter is None:
            super().data_received(data)
            return
        for is_binary, piece in self._splitter.feed(data):
            if self._is_lingering and self.conn.parser_exc is not None:
                return  # what follows a broken frame is noise
            if is_binary and self._receiver is not None and not self.frames:
                self._receiver.received(piece)
            elif is_binary:
                super().data_received(_as_sent(piece))
            else:
                super().data_received(piece)

    def send_receive_event_to_app(self) -> None:
        if self._receiver is None:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "bytes":
            self._receiver.received(data)
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.finish(Close.BAD_MESSAGE, "a text frame that is not UTF-8")
            return
        self._receiver.received(text)

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MAX_FRAGMENTS:
            self.finish(Close.TOO_BIG, f"a message of over {MAX_FRAGMENTS} fragments")
            return
        super().handle_cont(event)

    def handle_ping(self) -> None:
        super().handle_ping()
        if self._receiver is not None:
            self._receiver.pinged(1)

    def handle_close(self, event: Frame) -> None:
        super().handle_close(event)
        if self.close_sent:  # the answer to our own
            self.transport.close()
        self._report_closed()

    def handle_parser_exception(self) -> None:
        """Tell what was wrong, over-long messages with this service's own code."""
        assert self.conn.close_sent is not None
        output = b"".join(self.conn.data_to_send())
        if self.conn.close_sent.code == CloseCode.MESSAGE_TOO_BIG:
            limit = self.config.ws_max_size
            output = _close_frame(Close.TOO_BIG, f"a message over {limit} bytes")
        self.transport.write(output)
        self._linger()

    def shutdown(self) -> None:
        if self._receiver is None:
            super().shutdown()
        else:
            self.finish(Close.RESTART, "this replica goes away")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        super().connection_lost(exc)
        self._report_closed()
        if self.on_lost is not None:
            self.on_lost()

    def _linger(self) -> None:
        """Go on reading for a while: a socket closed with unread data is reset, and the reset
        overtakes the close frame.
        """
        self.close_sent = True
        self._is_lingering = True
        self.stop_keepalive()
        self._linger_timer = self.loop.call_later(LINGER, self.transport.abort)
        # uvicorn closes the transport when the route returns, unless this is set.
        self.close_timer = self._linger_timer
        self._report_closed()

    def _report_closed(self) -> None:
        self._is_over = True
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.closed()


def _watch_path(transport: asyncio.Transport) -> None:
    """Let the kernel notice a far side that vanished without a word.

    Three seconds, and the grace after it, are within the five that are promised; a ping from
    here would take a busy peer for a dead one.
    """
    raw = transport.get_extra_info("socket")
    if raw is None or raw.family not in (socket.AF_INET, socket.AF_INET6):
        return
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2_500)


def _as_sent(payload: bytes) -> bytes:
    """A client's binary frame again, for the library: before a receiver is attached, within a
    fragmented message, or while closing.
    """
    return Frame(Opcode.BINARY, payload).serialize(mask=True)


def _short(reason: str) -> str:
    # RFC 6455, section 5.5: a control frame holds 125 bytes, two of them the code.
    return reason.encode()[:120].decode(errors="ignore")


def _close_frame(code: int, reason: str) -> bytes:
    # Not Close.serialize: it takes only codes that the library knows itself.
    payload = int(code).to_bytes(2, "big") + _short(reason).encode()
    return Frame(Opcode.CLOSE, payload).serialize(mask=False)
