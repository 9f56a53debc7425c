"""A registered callback for tracks, and what waits for it: each track apart, with a worker."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from actr_peer.actor.subscribers.frames import FrameQueue
from actr_peer.actor.subscribers.guarded import Guarded
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media.frames import MediaFrame
from actr_peer.protocol.media.incoming import TrackEvent
from actr_peer.rpc.tracing import arrive_alone
from actr_peer.tasks import Start

MAX_TRACKS: Final = 64
"""Of one sender, whose frames wait at one time."""


class _Line:
    """What waits of one sender's track for a callback; gone when nothing does."""

    __slots__ = ("queue", "worker")

    def __init__(self) -> None:
        self.queue = FrameQueue()
        self.worker: asyncio.Task[None] | None = None


class Subscription:
    """One registered callback, and what waits for it."""

    def __init__(
        self, frame: Guarded[MediaFrame], event: Guarded[TrackEvent] | None, start: Start
    ) -> None:
        self.event = event
        self.is_over = False
        self.lines: dict[ActrId, dict[str, _Line]] = {}
        self._frame = frame
        self._start = start

    def line(self, sender: ActrId, track_id: str) -> _Line | None:
        """Where things of a track wait, with a worker; None where too many tracks wait."""
        tracks = self.lines.setdefault(sender, {})
        line = tracks.get(track_id)
        if line is None and len(tracks) < MAX_TRACKS:
            line = tracks[track_id] = _Line()
            work = self._work(sender, track_id, line)
            line.worker = self._start(f"media/{track_id}", work, failed=lambda exc: None)
            ended = partial(self._ended, sender, track_id, line)
            line.worker.add_done_callback(lambda _: ended())
        return line

    def end(self) -> None:
        """Deliver nothing more: what waits is dropped, and a call that runs is the last."""
        self.is_over = True
        for tracks in self.lines.values():
            for line in tracks.values():
                line.queue.clear()

    def forget(self, remote: ActrId) -> None:
        """The remote is gone: what its tracks have waiting goes too."""
        for line in self.lines.pop(remote, {}).values():
            if line.worker is not None:
                line.worker.cancel()

    async def _work(self, sender: ActrId, track_id: str, line: _Line) -> None:
        arrive_alone()
        while line.queue:
            item = line.queue.take()
            if isinstance(item, MediaFrame):
                await self._frame(item, sender)
            elif self.event is not None:
                await self.event(item, sender)
        self._ended(sender, track_id, line)  # in this turn: the next frame has a line of its own

    def _ended(self, sender: ActrId, track_id: str, line: _Line) -> None:
        tracks = self.lines.get(sender, {})
        if tracks.get(track_id) is line:
            del tracks[track_id]
            if not tracks:
                del self.lines[sender]
