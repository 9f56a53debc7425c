"""Tracks of raw pictures and of PCM that are encoded here, off the event loop.

Each track has one thread for its encoder. What the application pushes is encoded when the runtime
asks for the next sample: nothing is encoded that nobody takes, and what waits is raw, so it can be
dropped without harm to what was encoded before it.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from typing import Any

import av

from actr_peer.errors import BrokenError
from actr_peer.protocol.media.frames import Sample
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.state.worker import Worker
from actr_peer.wire.media.pushed import PushedTrack


class RawTrack(PushedTrack):
    """What both have: raw frames in, samples out of a thread.

    Args:
        track_id: What the far side sees.
        kind: ``audio`` or ``video``.
        codec: What it is encoded to.
        live: What ``send`` does while as many frames wait as may. True: the oldest is dropped and
            counted. False: it waits.
        max_waiting: Raw frames that wait.
    """

    def __init__(
        self, track_id: str, *, kind: TrackKind, codec: str, live: bool, max_waiting: int
    ) -> None:
        super().__init__(track_id, kind=kind, codec=codec)
        self.live = live
        self.max_waiting = max_waiting
        self._raw: deque[Any] = deque()
        self._ready: deque[Sample] = deque()
        self._encoding: asyncio.Future[list[Sample]] | None = None
        self._is_flushed = False
        self._worker = Worker(f"encode/{track_id}")

    async def read(self) -> Sample | None:
        """The runtime's: the next sample, None at the end. Cancelling loses none.

        Raises:
            BrokenError: If what was pushed cannot be encoded.
        """
        while not self._ready:
            if self._encoding is None:
                raw = await self._next_raw()
                if raw is None and self._is_flushed:
                    return None
                self._is_flushed = raw is None
                self._encoding = self._worker.run(self._encoded, raw)
            encoding = self._encoding
            try:
                made = await asyncio.shield(encoding)
            finally:
                if encoding.done():
                    self._encoding = None
            self._ready.extend(made)
            if self._is_flushed:
                self._worker.close(lambda: None)
        return self._ready.popleft()

    async def _next_raw(self) -> Any:
        while not self._raw and not self._is_ended:
            await self._changed.wait()
        if not self._raw:
            return None
        raw = self._raw.popleft()
        self._tell()
        return raw

    async def _push(self, raw: Any) -> bool:
        """Have ``raw`` encoded; False where an older one was dropped for it."""
        self._check_open()
        while not self.live and len(self._raw) >= self.max_waiting:
            await self._changed.wait()
            self._check_open()
        is_full = len(self._raw) >= self.max_waiting
        self._raw.append(raw)
        if is_full:
            self._drop(self._raw.popleft())
        self._tell()
        return not is_full

    def _drop(self, raw: Any) -> None:
        """``raw`` is not encoded: others have come meanwhile."""
        self.dropped += 1

    def _encoded(self, raw: Any) -> list[Sample]:
        try:
            return self._encode(raw)
        except (av.FFmpegError, ValueError, TypeError) as exc:
            raise BrokenError(f"track {self.track_id} cannot be encoded: {exc}") from exc

    @abstractmethod
    def _encode(self, raw: Any) -> list[Sample]:
        """Samples of one raw frame, or what is left where it is None; in the thread."""
