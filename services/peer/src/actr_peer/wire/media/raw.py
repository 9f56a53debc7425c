"""Tracks of raw pictures and of PCM that are encoded here, off the event loop.

Each track has one thread for its encoder. What the application pushes is encoded when the runtime
asks for the next sample: nothing is encoded that nobody takes, and what waits is raw, so it can be
dropped without harm to what was encoded before it.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import av

from actr_peer.errors import BrokenError
from actr_peer.protocol.media.frames import Sample
from actr_peer.protocol.webrtc.negotiation import TrackKind
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
        self._thread = ThreadPoolExecutor(1, f"encode/{track_id}")

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
                loop = asyncio.get_running_loop()
                self._encoding = loop.run_in_executor(self._thread, self._encoded, raw)
            encoding = self._encoding
            try:
                made = await asyncio.shield(encoding)
            finally:
                if encoding.done():
                    self._encoding = None
            self._ready.extend(made)
            if self._is_flushed:
                self._thread.shutdown(wait=False)
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
        if is_full:
            self._raw.popleft()
            self.dropped += 1
        self._raw.append(raw)
        self._tell()
        return not is_full

    def _encoded(self, raw: Any) -> list[Sample]:
        try:
            return self._encode(raw)
        except (av.FFmpegError, ValueError, TypeError) as exc:
            raise BrokenError(f"track {self.track_id} cannot be encoded: {exc}") from exc

    @abstractmethod
    def _encode(self, raw: Any) -> list[Sample]:
        """Samples of one raw frame, or what is left where it is None; in the thread."""
