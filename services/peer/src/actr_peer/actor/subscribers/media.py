"""Fast-path callbacks for media, by track id.

Each track has its own bounded queue and its own worker, so one slow callback holds up its own
track only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

from actr_peer.actor.subscribers.guarded import Guarded
from actr_peer.errors import BusyError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media.frames import MediaFrame
from actr_peer.tasks import Start

QUEUE = 64
"""Frames that wait for the callback of one track; more drop the oldest."""
QUEUE_BYTES = 32 * 1024 * 1024
"""Likewise, over the frames of one track; one alone may be larger."""
MAX_TRACKS = 64
"""Of one sender, whose frames wait at one time."""

MediaCallback = Callable[[MediaFrame, ActrId], Awaitable[None] | None]


class _MediaQueue:
    """Frames of one sender's track that wait for their callback; gone when none do."""

    def __init__(self, callback: Guarded[MediaFrame]) -> None:
        self.callback = callback
        self.frames: deque[MediaFrame] = deque()
        self.bytes = 0
        self.worker: asyncio.Task[None] | None = None

    def put(self, frame: MediaFrame) -> int:
        """Take a frame; return how many older ones had to go for it."""
        dropped = 0
        self.frames.append(frame)
        self.bytes += len(frame.data)
        while len(self.frames) > QUEUE or (self.bytes > QUEUE_BYTES and len(self.frames) > 1):
            self.take()
            dropped += 1
        return dropped

    def take(self) -> MediaFrame:
        frame = self.frames.popleft()
        self.bytes -= len(frame.data)
        return frame


class MediaSubscribers:
    """Callbacks by track id, or for any track; late frames are worth nothing, so they go.

    A track has a task only while frames of it wait: nothing is left of one that has ended.

    Attributes:
        unknown: Frames of tracks that nobody wants.
        dropped: Frames that slow callbacks lost.
    """

    def __init__(self, start: Start) -> None:
        self.unknown = 0
        self.dropped = 0
        self._start = start
        self._callbacks: dict[str | None, Guarded[MediaFrame]] = {}
        self._queues: dict[ActrId, dict[str, _MediaQueue]] = {}

    def register(self, track_id: str | None, callback: MediaCallback) -> Callable[[], None]:
        """Call ``callback(frame, sender)`` for frames of ``track_id``; None is any other track.

        Returns what unregisters it, and no later callback of the track.

        Raises:
            BusyError: If the track has a callback already.
        """
        if track_id in self._callbacks:
            raise BusyError(f"track {track_id!r} has a callback; unregister it first")
        guarded = self._callbacks[track_id] = Guarded(f"media/{track_id or 'any'}", callback)
        return partial(self._unregister, track_id, guarded)

    def _unregister(self, track_id: str | None, callback: Guarded[MediaFrame]) -> None:
        if self._callbacks.get(track_id) is callback:
            del self._callbacks[track_id]

    @property
    def waiting(self) -> int:
        """Tracks of which frames wait, each with a task."""
        return sum(map(len, self._queues.values()))

    def receive(self, sender: ActrId, frame: MediaFrame) -> None:
        """Take one frame from a wire."""
        callback = self._callbacks.get(frame.track_id) or self._callbacks.get(None)
        if callback is None:
            self.unknown += 1
            return
        tracks = self._queues.setdefault(sender, {})
        queue = tracks.get(frame.track_id)
        if queue is not None:
            self.dropped += queue.put(frame)
        elif len(tracks) >= MAX_TRACKS:
            self.dropped += 1
        else:
            queue = tracks[frame.track_id] = _MediaQueue(callback)
            queue.put(frame)
            queue.worker = self._start(
                f"media/{frame.track_id}",
                self._work(sender, frame.track_id, queue),
                failed=lambda exc: None,
            )
            ended = partial(self._ended, sender, frame.track_id, queue)
            queue.worker.add_done_callback(lambda _: ended())

    def forget_remote(self, remote: ActrId) -> None:
        """The remote is gone: what its tracks have waiting goes too."""
        for queue in self._queues.pop(remote, {}).values():
            if queue.worker is not None:
                queue.worker.cancel()

    async def _work(self, sender: ActrId, track_id: str, queue: _MediaQueue) -> None:
        while queue.frames:
            await queue.callback(queue.take(), sender)
        self._ended(sender, track_id, queue)  # in this turn: the next frame has a queue of its own

    def _ended(self, sender: ActrId, track_id: str, queue: _MediaQueue) -> None:
        tracks = self._queues.get(sender, {})
        if tracks.get(track_id) is queue:
            del tracks[track_id]
            if not tracks:
                del self._queues[sender]
