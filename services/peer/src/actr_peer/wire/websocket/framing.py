"""The framing library's protocol, fed fairly: no wire holds the loop longer than its share.

picows reads a head in one form only, and grows its buffer as fast as somebody fills it: a megabyte
of empty frames would be taken in one turn of the loop. So the head is read by others
(``arrivals.py``, ``dialling.py``), which feed the plain form of it here; and each turn reads no
more than what made about ``FRAMES_A_TURN`` frames in the turn before.
"""

from __future__ import annotations

import logging
from typing import Protocol

from picows import WSAutoPingStrategy, WSListener
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its types

from actr_peer.protocol.websocket.lane_frames import MAX_FRAME_BYTES
from actr_peer.protocol.websocket.upgrade import PATH

FRAMES_A_TURN = 128
"""Of one wire: about a millisecond of work in the session above."""
MAX_WINDOW_BYTES = 256 * 1024
MIN_WINDOW_BYTES = 1024
MAX_UNHEARD_BYTES = 64 * 1024
"""Thrown away after a close that says what rule was broken; more ends the connection."""
READ_BUFFER_BYTES = 16 * 1024

# The library logs every connection, and a far side's mistakes as errors of ours.
_QUIET = logging.Logger("actr_peer.wire.picows", logging.CRITICAL)  # noqa: LOG001


class Counting(Protocol):
    """The listener of the library, which counts the frames that it is given."""

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
        self._window = MAX_WINDOW_BYTES
        self._unheard = 0
        self._scratch = bytearray()

    def get_buffer(self, size_hint: int) -> memoryview:
        """Where the next read goes; called once in each turn that reads."""
        if self._counting.is_deaf:
            self._scratch = self._scratch or bytearray(MIN_WINDOW_BYTES)
            return memoryview(self._scratch)
        frames, self._counting.frames = self._counting.frames, 0
        if frames > FRAMES_A_TURN:
            self._window = max(MIN_WINDOW_BYTES, self._window * FRAMES_A_TURN // frames)
        elif self._window < MAX_WINDOW_BYTES:
            self._window *= 2
        room: memoryview = WSProtocol.get_buffer(self, size_hint)
        return room[: self._window]

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        if not self._scratch:
            WSProtocol.buffer_updated(self, nbytes)
            return
        self._unheard += nbytes
        if self._unheard > MAX_UNHEARD_BYTES:
            self.transport.disconnect(graceful=False)

    def feed(self, data: bytes) -> None:
        """Take bytes as if they had been read."""
        view = memoryview(data)
        while view:
            room = WSProtocol.get_buffer(self, -1)
            size = min(len(room), len(view))
            room[:size] = view[:size]
            WSProtocol.buffer_updated(self, size)
            view = view[size:]
