"""Fast-path callbacks: streams by channel id, media by track id (spec 3.4).

Each source has its own bounded queue and its own worker, so one slow callback holds up its own
source only, and a failing one is counted and goes on with the next item. There is no Context:
the fast path is one-way by contract.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import isawaitable
from typing import Any, Generic, TypeVar

from actr_peer.errors import BusyError, PeerError
from actr_peer.protocol.chunks import Chunk
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media import MediaFrame
from actr_peer.protocol.payload import PayloadType
from actr_peer.tasks import Start
from actr_peer.transport.link import Link
from actr_peer.transport.streams import StreamReader, Streams

log = logging.getLogger(__name__)

QUEUE = 64
"""Items that wait for one media callback; more drop the oldest."""

Item = TypeVar("Item")
Callback = Callable[[Item, ActrId], Awaitable[None] | None]
StreamCallback = Callable[[Chunk, ActrId], Awaitable[None] | None]
MediaCallback = Callable[[MediaFrame, ActrId], Awaitable[None] | None]


class Guarded(Generic[Item]):
    """A user's callback whose failures stay with it."""

    def __init__(self, name: str, callback: Callback[Item]) -> None:
        self.name = name
        self.failed = 0
        self._callback = callback

    async def __call__(self, item: Item, sender: ActrId) -> None:
        """Run the callback to its end; an error of its own is logged and counted."""
        try:
            result = self._callback(item, sender)
            if isawaitable(result):
                await result
        except Exception:
            self.failed += 1
            log.exception("callback failed: name=%s sender=%s", self.name, sender)


def _forget(callbacks: dict[Any, Any], key: object) -> None:
    callbacks.pop(key, None)


class StreamSubscribers:
    """Callbacks by channel id, for streams that no generated code opened."""

    def __init__(self, streams: Streams, start: Start) -> None:
        self._streams = streams
        self._start = start
        self._callbacks: dict[str, Guarded[Chunk]] = {}
        streams.on_unknown = self._open

    def register(self, channel_id: str, callback: StreamCallback) -> Callable[[], None]:
        """Call ``callback(chunk, sender)`` for each item on ``channel_id``, from any sender.

        Items of one sender come in order and one at a time. Returns what ends it.

        Raises:
            BusyError: If the channel has a callback already.
        """
        if channel_id in self._callbacks:
            raise BusyError(f"channel {channel_id!r} has a callback; unregister it first")
        self._callbacks[channel_id] = Guarded(f"stream/{channel_id}", callback)
        return partial(_forget, self._callbacks, channel_id)

    def _open(self, link: Link, payload_type: PayloadType, channel_id: str) -> StreamReader | None:
        callback = self._callbacks.get(channel_id)
        if callback is None:
            return None
        reader = self._streams.open_reader(link, channel_id, payload_type)
        self._start(f"stream/{channel_id}", self._work(reader, callback))
        return reader

    async def _work(self, reader: StreamReader, callback: Guarded[Chunk]) -> None:
        try:
            async for chunk in reader:
                await callback(chunk, reader.remote)
        except PeerError as exc:
            log.info("stream ended: channel=%s cause=%s", reader.channel_id, exc)
        finally:
            self._streams.forget_reader(reader.remote, reader)


class _MediaQueue:
    """Frames of one sender's track that wait for their callback."""

    def __init__(self) -> None:
        self.frames: deque[MediaFrame] = deque()
        self.arrived = asyncio.Event()
        self.dropped = 0

    def put(self, frame: MediaFrame) -> None:
        if len(self.frames) >= QUEUE:
            self.frames.popleft()
            self.dropped += 1
        self.frames.append(frame)
        self.arrived.set()


class MediaSubscribers:
    """Callbacks by track id, or for any track; late frames are worth nothing, so they go."""

    def __init__(self, start: Start) -> None:
        self.unknown = 0
        """Frames of tracks that nobody wants."""
        self._start = start
        self._callbacks: dict[str | None, Guarded[MediaFrame]] = {}
        self._queues: dict[tuple[ActrId, str], tuple[_MediaQueue, asyncio.Task[None]]] = {}

    def register(self, track_id: str | None, callback: MediaCallback) -> Callable[[], None]:
        """Call ``callback(frame, sender)`` for frames of ``track_id``; None is any other track.

        Raises:
            BusyError: If the track has a callback already.
        """
        if track_id in self._callbacks:
            raise BusyError(f"track {track_id!r} has a callback; unregister it first")
        self._callbacks[track_id] = Guarded(f"media/{track_id or 'any'}", callback)
        return partial(_forget, self._callbacks, track_id)

    @property
    def dropped(self) -> int:
        """Frames that slow callbacks lost, over all tracks that are here."""
        return sum(queue.dropped for queue, _ in self._queues.values())

    def receive(self, sender: ActrId, frame: MediaFrame) -> None:
        """Take one frame from a wire."""
        callback = self._callbacks.get(frame.track_id) or self._callbacks.get(None)
        if callback is None:
            self.unknown += 1
            return
        key = (sender, frame.track_id)
        entry = self._queues.get(key)
        if entry is None:
            queue = _MediaQueue()
            worker = self._start(f"media/{frame.track_id}", self._work(queue, callback, sender))
            entry = self._queues[key] = (queue, worker)
        entry[0].put(frame)

    def forget_remote(self, remote: ActrId) -> None:
        """The remote is gone: its tracks' workers end."""
        for key in [key for key in self._queues if key[0] == remote]:
            self._queues.pop(key)[1].cancel()

    async def _work(
        self, queue: _MediaQueue, callback: Guarded[MediaFrame], sender: ActrId
    ) -> None:
        while True:
            while queue.frames:
                await callback(queue.frames.popleft(), sender)
            queue.arrived.clear()
            await queue.arrived.wait()
