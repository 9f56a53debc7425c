"""Shell: one WebSocket: frames handed over as they are parsed, and a close that arrives.

It stands on the TCP connection itself: ASGI's task, queue and dictionaries are most of what a
relayed message costs, and ASGI cannot cut one whose reader is slow. Each frame is counted, and
taken in turns with those of others (:mod:`actr_signaling.web.turns`); nothing is taken of who
leaves its answers unread, and after a close frame nothing is parsed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from time import perf_counter

import structlog
from uvicorn.protocols.utils import get_remote_addr

from actr_signaling.errors import Close
from actr_signaling.protocol.client.messages import MAX_MESSAGE_BYTES
from actr_signaling.protocol.shares import Flow
from actr_signaling.protocol.websocket import frames
from actr_signaling.protocol.websocket.frames import Frame, FrameError, Kind, Splitter
from actr_signaling.protocol.websocket.pulse import Felt, Pulse
from actr_signaling.web.turns import Outgoing, Receiver, Turns

log = structlog.get_logger()

SLOW_BYTES = 128 * 1024
"""Unsent, from which on nothing more is taken from a connection, until it has read some."""
MAX_RELAYED_BYTES = 512 * 1024
"""Unsent, from which on others may not add to it: a flood is not to cut its victim."""
MAX_UNSENT_BYTES = 1024 * 1024
"""A reader that lags by more when something is to be sent is cut; one message may be larger."""
MAX_WAITING_BYTES = 64 * 1024
"""Of what waits for its turn; then reading is paused."""
PENALTY = 1.0
"""Seconds until one that was too fast hears its close: coming back costs what 100 messages do."""
LINGER = 1.0
"""Seconds to the reset after a close frame: a reset at once would overtake it."""
LINGER_BYTES = 64 * 1024
"""To read and throw away meanwhile; after them nothing is read."""


class Socket(asyncio.Protocol):
    """One WebSocket connection of this service, from its upgrade on.

    Args:
        share: Its place among those who take turns.
        open_sockets: Has it while its TCP connection is there.
        lost: Called once when that is gone.
        lags: Told when ``is_slow`` has changed.
    """

    is_slow = False
    """Whether the far side leaves unread what it was told."""
    is_held_up = False  # by the other end of a wire (door/joined.py)
    _is_leaving = False
    """A close frame is sent; what comes is thrown away."""
    _receiver: Receiver | None = None
    _is_held = False
    """Whether reading is paused."""
    _has_ended = False
    """Whether the far side has said that it says no more."""
    _thrown_away = 0
    _linger_timer: asyncio.TimerHandle | None = None
    _pulse_timer: asyncio.TimerHandle | None = None

    def __init__(
        self,
        transport: asyncio.Transport,
        turns: Turns,
        share: Flow,
        *,
        open_sockets: set[Socket],
        lost: Callable[[], None],
        lags: Callable[[], None],
    ) -> None:
        self.transport = transport
        self.turns = turns
        self.share = share
        self._open_sockets = open_sockets
        self._lost = lost
        self._lags = lags
        self._loop = asyncio.get_running_loop()
        self._splitter = Splitter(MAX_MESSAGE_BYTES)
        self._outgoing = Outgoing(turns, transport, limit=SLOW_BYTES)
        self._pulse = Pulse(self._loop.time())
        transport.set_write_buffer_limits(high=SLOW_BYTES)
        open_sockets.add(self)
        self._watch_pulse()

    def attach(self, receiver: Receiver) -> None:
        """Hand everything to ``receiver`` from now on."""
        self._receiver = receiver

    def send_head(self, response: bytes) -> None:
        """Write the answer to the upgrade, before any message."""
        self._outgoing.add(response)

    def send_message(self, data: bytes | str, *, is_relay: bool = False) -> bool:
        """Write one message at the end of this turn; False: it is gone, or too slow.

        Who is too slow for its own answers is cut; a relay is then only not taken.
        """
        return self.send_frames(frames.whole(data), is_relay=is_relay)

    def send_frames(self, data: bytes, *, is_relay: bool = False) -> bool:
        """The same for whole frames, one or several."""
        outgoing = self._outgoing
        # What waits for the end of this turn waits on a connection that was there.
        if self._is_leaving or (not outgoing.waiting and self.transport.is_closing()):
            return False
        unsent = outgoing.unsent()
        if unsent > MAX_RELAYED_BYTES:
            if is_relay:
                return False
            if unsent > MAX_UNSENT_BYTES:
                log.warning("reader cut: too slow", address=get_remote_addr(self.transport))
                self.fail()
                return False
        outgoing.add(data, unsent)
        return True

    def finish(self, code: int, reason: str) -> None:
        """Send a close frame, in a while to one that was too fast, and close, in the end by force.

        Harmless when called again.
        """
        if self._is_leaving or self.transport.is_closing():
            return
        self._leave()
        if code == Close.TOO_FAST:
            self._hold()
            last = frames.close(code, reason)
            self._linger_timer = self._loop.call_later(PENALTY, self._close, last)
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
        self._linger_timer = self._loop.call_later(LINGER, self.transport.abort)

    # Worker

    def work(self, until: float) -> bool:
        """Take frames; True: more may be waiting."""
        splitter = self._splitter
        while self._receiver is not None:
            if self.is_slow or self.is_held_up:
                self._hold()
                return False  # resume_writing goes on, or who held it up
            try:
                data = splitter.whole_binary()
                if data is None:
                    frame = splitter.next()
                    if frame is None:
                        self._release()
                        if self._has_ended:
                            self._outgoing.flush()
                            self.transport.close()
                        return False
                    self._take(frame, self._receiver)
                elif self._receiver.arrived(len(data)):
                    self._receiver.received(data)
            except FrameError as error:
                self.finish(error.code, error.message)
                return False
            if perf_counter() >= until:
                return True
        return False

    def fail(self) -> None:
        self._outgoing.cut()

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
            case Kind.CLOSE:
                code = int.from_bytes(frame.data[:2], "big") if frame.data else None
                self._leave()
                self._outgoing.add(frames.close(code))
                self._outgoing.flush()
                self.transport.close()
            case Kind.PONG | Kind.PIECE:
                pass

    def _go_on(self) -> None:
        if not self.turns.enter(self) and len(self._splitter) > MAX_WAITING_BYTES:
            self._hold()

    def _hold(self) -> None:
        if not self._is_held and not self.transport.is_closing():
            self._is_held = True
            self.transport.pause_reading()

    def _release(self) -> None:
        if self._is_held and not self.transport.is_closing():
            self._is_held = False
            self.transport.resume_reading()

    def _watch_pulse(self) -> None:
        self._pulse_timer = self._loop.call_at(self._pulse.due, self._feel_pulse)

    def _feel_pulse(self) -> None:
        """What is heard meanwhile moves the time, and not the timer."""
        felt = self._pulse.feel(self._loop.time(), self._outgoing.unsent())
        if felt is Felt.END:
            self.finish(1011, "no pong in time")
            return
        if felt is Felt.ASK:
            self._outgoing.add(frames.ping(b""))
        self._watch_pulse()

    # The transport's protocol, and uvicorn's shutdown

    def data_received(self, data: bytes) -> None:
        if self._is_leaving:
            self._thrown_away += len(data)
            if self._thrown_away > LINGER_BYTES:
                self._hold()
        else:
            self._pulse.heard_at = self._loop.time()
            self._splitter.feed(data)
            self._go_on()

    def eof_received(self) -> bool:
        """The far side says no more: what it has said is taken first, and answered."""
        if self._receiver is None:
            return False
        self._has_ended = True
        self._go_on()
        return True

    def pause_writing(self) -> None:
        self.is_slow = True
        self._lags()

    def resume_writing(self) -> None:
        self.is_slow = False
        self._lags()
        if self._receiver is not None:
            self._receiver.relieved()
        if self._receiver is not None:
            self._go_on()

    def shutdown(self) -> None:
        """The server stops."""
        if not self._is_leaving:
            self.finish(Close.RESTART, "this replica goes away")
        else:  # what it may still say is noise, and who waits for a close has waited
            self._stop_lingering()
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_lingering()
        self._leave()
        self._outgoing.drop()
        self._open_sockets.discard(self)
        self._lost()

    def _leave(self) -> None:
        """Take nothing more."""
        self._is_leaving = True
        self._splitter = Splitter(0)  # what waits is noise
        if self._pulse_timer is not None:
            self._pulse_timer.cancel()
            self._pulse_timer = None
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.closed()

    def _stop_lingering(self) -> None:
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None
