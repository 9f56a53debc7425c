"""The framing library's protocol, fed fairly: no wire holds the loop longer than its share.

picows reads a head in one form only, and grows its buffer as fast as somebody fills it: a megabyte
of empty frames would be taken in one turn of the loop. So the head is read by others
(``arrivals.py``, ``dialling.py``), which feed the plain form of it here; and each turn reads once,
no more than what made about ``FRAMES_A_TURN`` frames or took about ``TURN_SECONDS`` before.
"""

from __future__ import annotations

import logging
from asyncio import Transport, get_running_loop
from time import thread_time
from typing import Protocol

from picows import WSAutoPingStrategy, WSListener
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its types

from actr_peer.protocol.websocket.lane_frames import HEADER_BYTES, MAX_FRAME_BYTES
from actr_peer.protocol.websocket.masked import Sorter, turned
from actr_peer.protocol.websocket.upgrade import PATH

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover - it was built without a compiler
    from websockets.utils import apply_mask

mask = apply_mask
"""A masked copy of some bytes, or an unmasked one, with a key of four bytes."""

FRAMES_A_TURN = 128
"""Of one wire: about a millisecond of work in the session above."""
TURN_SECONDS = 0.001
"""Of the processor, for what one wire reads in one turn, and for all that this wakes: an urgent
message waits for several turns, its own and those of its commit and its reply."""
MIN_SHARE_BYTES = 16 * 1024
MAX_WINDOW_BYTES = 256 * 1024
MIN_WINDOW_BYTES = 1024
MAX_READ_BUFFER_BYTES = 2 * MAX_WINDOW_BYTES
"""Room for the longest frame, and for as much as one turn reads."""
MAX_UNHEARD_BYTES = 64 * 1024
"""Thrown away after a close that says what rule was broken; more ends the connection."""
READ_BUFFER_BYTES = 16 * 1024

# The library logs every connection, and a far side's mistakes as errors of ours.
_QUIET = logging.Logger("actr_peer.wire.picows", logging.CRITICAL)  # noqa: LOG001


class Counting(Protocol):
    """The listener of the library, which counts the frames that it is given."""

    def on_long_frame(self, head: bytes, data: bytes) -> None:
        """A whole binary frame came that the library has not seen; ``head`` is of HEADER_BYTES."""

    frames: int
    is_deaf: bool
    """Nothing that still comes is looked at."""


class Framing(WSProtocol):  # type: ignore[misc]  # not in its types
    """One connection's; ``connection_made``, then :meth:`feed` a plain head.

    Args:
        wire: Given all frames.
        authority: ``host:port`` that is dialled; empty at the listener.
    """

    def __init__(self, wire: WSListener, counting: Counting, *, authority: str = "") -> None:
        super().__init__(
            host_port=authority or None,
            ws_path=PATH if authority else None,
            is_client_side=bool(authority),
            ws_listener_factory=lambda *_: wire,
            logger=_QUIET,
            disconnect_on_exception=True,
            websocket_handshake_timeout=None,  # who feeds the head keeps the time
            enable_auto_ping=False,  # the session has heartbeats
            auto_ping_idle_timeout=10,
            auto_ping_reply_timeout=10,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=False,  # the wire knows when it is full
            max_frame_size=MAX_FRAME_BYTES,
            extra_headers=None,
            read_buffer_init_size=READ_BUFFER_BYTES,
        )
        self._counting = counting
        self._loop = get_running_loop()
        self._window = MAX_WINDOW_BYTES
        self._pace = MAX_WINDOW_BYTES
        """Bytes to read in a turn, by what the turns before have taken."""
        self._room = 0
        self._unheard = 0
        self._scratch = bytearray()

    def get_buffer(self, size_hint: int) -> memoryview:
        """Where the next read goes; called once in each turn that reads."""
        if self._counting.is_deaf:
            self._scratch = self._scratch or bytearray(MIN_WINDOW_BYTES)
            return memoryview(self._scratch)
        return self._share_of(WSProtocol.get_buffer(self, size_hint))

    def _share_of(self, room: memoryview) -> memoryview:
        """As much of ``room`` as is to be read in this turn."""
        frames, self._counting.frames = self._counting.frames, 0
        if frames > FRAMES_A_TURN:
            self._window = max(MIN_WINDOW_BYTES, self._window * FRAMES_A_TURN // frames)
        elif self._window < MAX_WINDOW_BYTES:
            self._window *= 2
        room = room[: min(self._window, self._pace)]
        self._room = len(room)
        return room

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        if self._scratch:
            self._unheard += nbytes
            if self._unheard > MAX_UNHEARD_BYTES:
                self.transport.disconnect(graceful=False)
        elif nbytes < self._room:
            self._read(nbytes)
        else:  # there may be more
            started = thread_time()
            self._read(nbytes)
            self._yield(started)

    def _read(self, nbytes: int) -> None:
        WSProtocol.buffer_updated(self, nbytes)

    def _yield(self, started: float) -> None:
        """Read on when others have had their turn: uvloop would read up to 32 times at once."""
        transport = self.transport.underlying_transport
        if transport.is_closing() or not transport.is_reading():
            return
        transport.pause_reading()
        self._loop.call_soon(self._go_on, transport, started)

    def _go_on(self, transport: Transport, started: float) -> None:
        """What was read has been taken, and what that woke has run: see what it took."""
        took = max(thread_time() - started, TURN_SECONDS / 2)  # twice as much at most
        pace = round(self._pace * TURN_SECONDS / took)
        self._pace = min(max(pace, MIN_SHARE_BYTES), MAX_WINDOW_BYTES)
        if not transport.is_closing():
            transport.resume_reading()

    def feed(self, data: bytes | memoryview) -> None:
        """Give bytes to the library as if they had been read."""
        view = memoryview(data)
        while view:
            room = WSProtocol.get_buffer(self, -1)
            size = min(len(room), len(view))
            room[:size] = view[:size]
            WSProtocol.buffer_updated(self, size)
            view = view[size:]


class ListenerFraming(Framing):
    """A listener's: long frames, which are masked, do not go by the library (``masked.py``)."""

    def __init__(self, wire: WSListener, counting: Counting) -> None:
        super().__init__(wire, counting)
        self._sorter = Sorter()
        self._bytes = bytearray(READ_BUFFER_BYTES)
        self._view = memoryview(self._bytes)
        self._at = self._end = 0
        # Between the two is what came and is not taken yet: the beginning of a frame.
        self._was_filled = False

    def get_buffer(self, size_hint: int) -> memoryview:
        """Where the next read goes; called once in each turn that reads."""
        if self._counting.is_deaf:
            return super().get_buffer(size_hint)
        if self._at == self._end:
            self._at = self._end = 0
        if self._was_filled or len(self._bytes) - self._end < READ_BUFFER_BYTES:
            self._make_room()
        return self._share_of(self._view[self._end :])

    def _make_room(self) -> None:
        rest = self._view[self._at : self._end]
        size = len(self._bytes)
        if (self._was_filled or 2 * len(rest) > size) and size < MAX_READ_BUFFER_BYTES:
            self._bytes = bytearray(2 * size)  # the loop still holds a view of the other
            self._view = memoryview(self._bytes)
        self._view[: len(rest)] = rest
        self._at, self._end = 0, len(rest)

    def _read(self, nbytes: int) -> None:
        self._end += nbytes
        self._was_filled = self._end == len(self._bytes)
        self._take()

    def take(self, data: bytes) -> None:
        """Take bytes that came with the head, as if they had been read; few."""
        self._view[: len(data)] = data
        self._end = len(data)
        self._take()

    def _take(self) -> None:
        at = self._at
        while not (self._counting.is_deaf or self.transport.is_disconnected):
            until, long = self._sorter.sort(self._bytes, at, self._end)
            if until > at:
                self.feed(self._view[at:until])
            at = until
            if long is None:
                self._at = at
                return
            data = long.start + HEADER_BYTES
            self._counting.on_long_frame(
                mask(self._view[long.start : data], long.key),
                mask(self._view[data : long.end], turned(long.key, HEADER_BYTES)),
            )
            at = long.end
        self._at = self._end  # nobody hears the rest
