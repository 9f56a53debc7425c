"""What waits for one who takes the frames of one track: bounded, and whole from a key frame on."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from actr_peer.protocol.media.frames import MediaFrame
from actr_peer.protocol.media.incoming import TrackEvent

QUEUE: Final = 64
"""Frames that wait for one taker of one track; more drop the oldest."""
QUEUE_BYTES: Final = 32 * 1024 * 1024
"""Likewise, over the frames of one track; one alone may be larger."""
QUEUE_EVENTS: Final = 32
"""Events that wait; more drop the oldest."""
ASK_EVERY: Final = 30
"""Frames that go by without a key frame until one is asked for again."""
LEAST_SECONDS: Final = 0.5
"""Within which nothing can be said of a track's rate."""


class FrameQueue:
    """Frames and events in their order; drops frames that come too fast, and counts them.

    After a video frame was dropped the next that is taken is a key frame: those between cannot be
    decoded, and are dropped as well.

    Args:
        from_keyframe: Whether the first frame of a video, too, is a key frame.
    """

    def __init__(self, *, from_keyframe: bool = False) -> None:
        self.dropped = 0
        self._items: deque[MediaFrame | TrackEvent] = deque()
        self._frames = 0
        self._events = 0
        self._bytes = 0
        self._awaits_keyframe = from_keyframe
        self._passed = 0
        """Frames that went by while a key frame was awaited."""

    def __len__(self) -> int:
        return len(self._items)

    def await_keyframe(self) -> None:
        """What comes is not the continuation of what came: a video goes on with a key frame."""
        self._awaits_keyframe = True
        self._passed = 0

    def put(self, frame: MediaFrame) -> bool:
        """Take a frame; return whether a key frame is to be asked for."""
        if self._awaits_keyframe and frame.kind == "video":
            if not frame.keyframe:
                self.dropped += 1
                self._passed += 1
                return self._passed % ASK_EVERY == 1
            self._awaits_keyframe = False
        self._items.append(frame)
        self._frames += 1
        self._bytes += len(frame.data)
        if self._frames <= QUEUE and (self._bytes <= QUEUE_BYTES or self._frames == 1):
            return False
        self._make_room()
        return self._awaits_keyframe

    def tell(self, event: TrackEvent) -> None:
        """Put an event behind what waits."""
        if event.kind is TrackEvent.Kind.RESUMED:
            self.await_keyframe()
        self._events += 1
        if self._events > QUEUE_EVENTS:
            oldest = next(item for item in self._items if isinstance(item, TrackEvent))
            self._items.remove(oldest)
            self._events -= 1
        self._items.append(event)

    def take(self) -> MediaFrame | TrackEvent:
        """The oldest; there is one."""
        item = self._items.popleft()
        self._count_out(item)
        return item

    def clear(self) -> None:
        """Drop all that waits."""
        self._items.clear()
        self._frames = self._events = self._bytes = 0

    def _count_out(self, item: MediaFrame | TrackEvent) -> None:
        if isinstance(item, MediaFrame):
            self._frames -= 1
            self._bytes -= len(item.data)
        else:
            self._events -= 1

    def _make_room(self) -> None:
        """Drop the oldest frames until there is room, and on to a frame that can be decoded."""
        events: list[TrackEvent] = []
        has_dropped = False
        while self._items:
            item = self._items[0]
            if isinstance(item, TrackEvent):
                events.append(item)
                self._items.popleft()
                continue
            has_room = self._frames <= QUEUE and (self._bytes <= QUEUE_BYTES or self._frames == 1)
            if has_room and has_dropped and (item.keyframe or item.kind == "audio"):
                break
            self._items.popleft()
            self._count_out(item)
            self.dropped += 1
            has_dropped = True
        else:
            self.await_keyframe()
        self._items.extendleft(reversed(events))


class Reader:
    """One iteration over a track; made and fed by ``MediaSubscribers``.

    Args:
        takes_frames: False: events only.
    """

    def __init__(self, *, takes_frames: bool) -> None:
        self.queue = FrameQueue(from_keyframe=True)
        self.takes_frames = takes_frames
        self._error: Exception | None = None
        self._has_news = asyncio.Event()

    def put(self, frame: MediaFrame) -> bool:
        """Take a frame; return whether a key frame is to be asked for."""
        if not self.takes_frames:
            return False
        wants = self.queue.put(frame)
        self._has_news.set()
        return wants

    def tell(self, event: TrackEvent) -> None:
        self.queue.tell(event)
        self._has_news.set()

    def fail(self, error: Exception) -> None:
        """Nothing comes any more."""
        self._error = error
        self._has_news.set()

    async def next(self) -> MediaFrame | TrackEvent:
        """Wait for a frame or an event; cancelling loses none.

        Raises:
            ClosedError: If the actor is closed, and nothing is left.
        """
        while not self.queue:
            if self._error is not None:
                raise self._error
            self._has_news.clear()
            await self._has_news.wait()
        return self.queue.take()


class ReadTrack:
    """Those who iterate over one track, and its rate."""

    __slots__ = ("bytes", "dropped", "frames", "last", "readers", "since")

    def __init__(self) -> None:
        self.readers: list[Reader] = []
        self.dropped = 0
        self.since = 0.0
        self.frames = self.bytes = 0
        self.last: tuple[float, float] | None = None
        """Frames and bits a second, in the last whole second; None in the first one."""

    def count(self, size: int, now: float) -> None:
        seconds = now - self.since
        if not self.since:
            self.since = now
        elif seconds >= 1.0:
            self.last = (self.frames / seconds, self.bytes * 8 / seconds)
            self.since, self.frames, self.bytes = now, 0, 0
        self.frames += 1
        self.bytes += size

    def rates(self, now: float) -> tuple[float, float]:
        seconds = now - self.since
        if not self.since or (self.last is None and seconds < LEAST_SECONDS):
            return 0.0, 0.0
        if seconds < 1.0 and self.last is not None:
            return self.last
        return self.frames / seconds, self.bytes * 8 / seconds
