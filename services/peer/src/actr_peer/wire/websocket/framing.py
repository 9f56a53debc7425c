"""The framing library's protocol, fed fairly: no wire holds the loop longer than its share.

picows reads a head in one form only, and grows its buffer as fast as somebody fills it: a megabyte
of empty frames would be taken in one turn of the loop. So the head is read by others
(``arrivals.py``, ``dialling.py``), which feed the plain form of it here; and each turn reads once,
no more than what made about ``FRAMES_A_TURN`` frames or took about ``TURN_SECONDS`` before.
"""

from __future__ import annotations

import logging
from asyncio import Transport, get_running_loop
from collections.abc import Sequence
from contextlib import suppress
from time import thread_time
from typing import Protocol

from picows import (
    WSAutoPingStrategy,
    WSListener,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its types

from actr_peer.protocol.websocket.lane_frames import (
    HANDSHAKE,
    HEADER,
    HEADER_BYTES,
    MAX_FRAME_BYTES,
)
from actr_peer.protocol.websocket.masked import NO_KEY, Sorter, turned
from actr_peer.protocol.websocket.upgrade import HELLO, TAKEN, Accept, plain_request

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

Headers = Sequence[tuple[str, str]]

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
        dialled: ``host:port/path``; empty at the listener.
        headers: More of them, of the request or of the answer to one.
    """

    def __init__(
        self, wire: WSListener, counting: Counting, *, dialled: str = "", headers: Headers = ()
    ) -> None:
        authority, slash, path = dialled.partition("/")
        super().__init__(
            host_port=authority or None,
            ws_path=slash + path or None,
            is_client_side=bool(authority),
            ws_listener_factory=lambda *_: wire if dialled or not headers else _with(headers, wire),
            logger=_QUIET,
            disconnect_on_exception=True,
            websocket_handshake_timeout=None,  # who feeds the head keeps the time
            enable_auto_ping=False,  # the session has heartbeats
            auto_ping_idle_timeout=10,
            auto_ping_reply_timeout=10,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=False,  # the wire knows when it is full
            max_frame_size=MAX_FRAME_BYTES,
            extra_headers=headers or None,
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

    def filled(self, nbytes: int) -> None:
        """The next ``nbytes`` are this turn's, though there may be more (``tls/sealed.py``)."""
        self._room = nbytes

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

    def connection_lost(self, exc: Exception | None) -> None:
        """It has closed: the wire hears of it, and why. For a dialler the library keeps the rule
        that was broken in a future besides, of which asyncio complains where nobody has asked."""
        WSProtocol.connection_lost(self, exc)
        asking = self.transport.wait_disconnected()
        with suppress(Exception):  # the answer is there by now, or is thrown away
            asking.send(None)
        asking.close()

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
    """A listener's: long frames, which are masked, do not go by the library (``masked.py``).

    Short frames are read to where the library has them, which costs nothing. From the first long
    one until a read without any, all is read to a buffer of this side's, and given to the library
    from there.

    Args:
        accept: What the dialler has asked for; :meth:`begin` answers it.
    """

    def __init__(self, wire: WSListener, counting: Counting, accept: Accept) -> None:
        super().__init__(wire, counting, headers=((HELLO, TAKEN),) if accept.hello else ())
        self._accept = accept
        self._sorter = Sorter()
        self._bytes = bytearray()
        self._view = memoryview(self._bytes)
        self._at = self._end = 0
        # Between the two is what came and is not taken yet: the beginning of a frame.
        self._was_filled = False
        self._is_long = False
        """What came last had a long frame, or the beginning of one."""
        self._given: memoryview | None = None
        """Where the library has what is read now."""

    def get_buffer(self, size_hint: int) -> memoryview:
        """Where the next read goes; called once in each turn that reads."""
        if self._counting.is_deaf:
            return super().get_buffer(size_hint)
        if self._at == self._end:
            if not self._is_long:
                self._given = room = self._share_of(WSProtocol.get_buffer(self, size_hint))
                return room
            self._at = self._end = 0
        if self._was_filled or len(self._bytes) - self._end < READ_BUFFER_BYTES:
            self._make_room()
        return self._share_of(self._view[self._end :])

    def _make_room(self) -> None:
        rest = self._view[self._at : self._end]
        size = len(self._bytes)
        if (self._was_filled or 2 * len(rest) >= size) and size < MAX_READ_BUFFER_BYTES:
            self._bytes = bytearray(2 * size or READ_BUFFER_BYTES)
            self._view = memoryview(self._bytes)  # the loop still holds a view of the other
        self._view[: len(rest)] = rest
        self._at, self._end = 0, len(rest)

    def _read(self, nbytes: int) -> None:
        given, self._given = self._given, None
        if given is None:
            self._end += nbytes
            self._was_filled = self._end == len(self._bytes)
            self._take()
            return
        until, long = self._sorter.sort(given, 0, nbytes)
        if until == nbytes and long is None:
            WSProtocol.buffer_updated(self, nbytes)
            return
        self._keep(given[until:nbytes])
        if until:
            WSProtocol.buffer_updated(self, until)
        self._take()

    def begin(self, tail: bytes, *, with_proof: bool = False) -> None:
        """Answer the upgrade, and take what came with it as if it had been read in frames.

        Args:
            tail: What follows the head; few bytes.
            with_proof: Also a proof in the head.
        """
        self.feed(plain_request(self._accept.key))
        for step in (self._accept.hello, self._accept.proof if with_proof else b""):
            if step:
                self._counting.on_long_frame(HEADER.pack(HANDSHAKE, len(step)), step)
        self._keep(tail)
        self._take()

    def _keep(self, data: bytes | memoryview) -> None:
        """Have this in the buffer, which is empty."""
        size = len(self._bytes)
        while size < len(data):
            size = 2 * size or READ_BUFFER_BYTES
        if size > len(self._bytes):
            self._bytes = bytearray(size)
            self._view = memoryview(self._bytes)
        self._view[: len(data)] = data
        self._at, self._end = 0, len(data)

    def _take(self) -> None:
        at, self._is_long = self._at, False
        while not (self._counting.is_deaf or self.transport.is_disconnected):
            until, long = self._sorter.sort(self._view, at, self._end)
            if until > at:
                self.feed(self._view[at:until])
            at = until
            if long is None:
                self._at = at
                return
            self._is_long = True
            data = long.start + HEADER_BYTES
            head, rest = self._view[long.start : data], self._view[data : long.end]
            if long.key == NO_KEY:
                self._counting.on_long_frame(bytes(head), bytes(rest))
            else:
                key = turned(long.key, HEADER_BYTES)
                self._counting.on_long_frame(mask(head, long.key), mask(rest, key))
            at = long.end
        self._at = self._end  # nobody hears the rest


def _with(headers: Headers, wire: WSListener) -> WSUpgradeResponseWithListener:
    """What the library takes in place of a listener, where its answer has more headers."""
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), wire)
