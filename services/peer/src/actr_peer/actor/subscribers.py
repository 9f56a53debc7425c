"""Fast-path callbacks: streams by channel id, media by track id.

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
from typing import Generic, TypeVar

from actr_peer.errors import BrokenError, BusyError, LimitError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media import MediaFrame
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.chunks import Chunk, check_channel_id
from actr_peer.tasks import Start, note_failure
from actr_peer.transport.channels import Streams
from actr_peer.transport.link import Link
from actr_peer.transport.streams import StreamReader, is_metered

log = logging.getLogger(__name__)

QUEUE = 64
"""Frames that wait for the callback of one track; more drop the oldest."""
QUEUE_BYTES = 32 * 1024 * 1024
"""Likewise, over the frames of one track; one alone may be larger."""
MAX_TRACKS = 64
"""Of one sender, whose frames wait at one time."""
MAX_OPENINGS = 16
"""Openings of one channel by one sender whose items wait for a slow callback."""

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
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._note(sender, exc)  # of something of its own that it cancelled, and awaited
        except BaseException as exc:  # the user's code: an exit that it raises is none of ours
            if isinstance(exc, GeneratorExit):
                raise
            self._note(sender, exc)

    def _note(self, sender: ActrId, exc: BaseException) -> None:
        self.failed += 1
        note_failure(f"callback for {sender}", self.name, exc)


class _Line:
    """One sender's openings of one channel, oldest first: the next waits for the last."""

    __slots__ = ("readers",)

    def __init__(self) -> None:
        self.readers: deque[tuple[StreamReader, Guarded[Chunk]]] = deque()

    def abandon(self, link: Link) -> None:
        """A reliable opening begins. What was said before it on its link has come before it, so
        one that has not ended never will: it must not hold up this one for ever."""
        for reader, _ in self.readers:
            if reader.link is link and not reader.has_heard_end:
                text = f"channel {reader.channel_id} was opened again without an end"
                reader.lose(BrokenError(text))


class StreamSubscribers:
    """Callbacks by channel id, for streams that no generated code opened."""

    def __init__(self, streams: Streams, start: Start) -> None:
        self._streams = streams
        self._start = start
        self._callbacks: dict[str, Guarded[Chunk]] = {}
        self._lines: dict[tuple[ActrId, str], _Line] = {}

    def register(self, channel_id: str, callback: StreamCallback) -> Callable[[], None]:
        """Call ``callback(chunk, sender)`` for each item on ``channel_id``, from any sender.

        Items of one sender come in order and one at a time, also where it ends the channel and
        opens it again. Returns what unregisters it: those who still send are told to stop.

        Raises:
            BusyError: If the channel has a callback already.
            LimitError: If the id is empty or longer than 64 characters.
        """
        check_channel_id(channel_id)
        if channel_id in self._callbacks:
            raise BusyError(f"channel {channel_id!r} has a callback; unregister it first")
        guarded = self._callbacks[channel_id] = Guarded(f"stream/{channel_id}", callback)
        return partial(self._unregister, channel_id, guarded)

    def _unregister(self, channel_id: str, callback: Guarded[Chunk]) -> None:
        if self._callbacks.get(channel_id) is not callback:
            return
        del self._callbacks[channel_id]
        for (_, name), line in self._lines.items():
            if name == channel_id:
                for reader, _ in line.readers:
                    reader.close()

    def open(self, link: Link, payload_type: PayloadType, chunk: Chunk) -> StreamReader | None:
        """A reader for a channel that none reads, if it has a callback.

        Raises:
            LimitError: If too many of its openings wait for a slow callback.
        """
        channel_id = chunk.channel_id
        callback = self._callbacks.get(channel_id)
        if callback is None:
            return None
        key = (link.remote, channel_id)
        line = self._lines.get(key)
        if line is not None and len(line.readers) >= MAX_OPENINGS:
            raise LimitError("openings of one channel", limit=MAX_OPENINGS, asked=MAX_OPENINGS + 1)
        reader = self._streams.open_reader(link, channel_id, payload_type, opening=chunk.opening)
        if line is not None and is_metered(payload_type):
            line.abandon(link)
        if line is None:
            line = self._lines[key] = _Line()
            line.readers.append((reader, callback))
            worker = self._start(
                f"stream/{channel_id}", self._work(key, line), failed=lambda exc: None
            )
            worker.add_done_callback(partial(self._over, key, line))
        else:
            line.readers.append((reader, callback))
        return reader

    async def _work(self, key: tuple[ActrId, str], line: _Line) -> None:
        while line.readers:
            reader, callback = line.readers[0]
            try:
                async for chunk in reader:
                    await callback(chunk, reader.remote)
            except PeerError as exc:
                log.info("stream ended: channel=%s cause=%s", reader.channel_id, exc)
            self._streams.forget_reader(reader)
            line.readers.popleft()
        # In this turn, not when the task is seen to be done: what is opened between would stand
        # in a line that nobody serves.
        self._leave(key, line)

    def _over(self, key: tuple[ActrId, str], line: _Line, worker: asyncio.Task[None]) -> None:
        """The worker has ended, well or not: nothing of its line is left."""
        self._leave(key, line)
        for reader, _ in line.readers:
            self._streams.forget_reader(reader)

    def _leave(self, key: tuple[ActrId, str], line: _Line) -> None:
        if self._lines.get(key) is line:
            del self._lines[key]


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
