"""Fast-path callbacks for streams, by channel id.

Each sender's channel has its own worker, so one slow callback holds up its own channel only.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

from actr_peer.actor.subscribers.guarded import Guarded
from actr_peer.errors import BrokenError, BusyError, LimitError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.streams.chunks import Chunk, check_channel_id
from actr_peer.tasks import Start
from actr_peer.transport.channels import Streams
from actr_peer.transport.link import Link
from actr_peer.transport.streams import StreamReader, is_metered

log = logging.getLogger(__name__)

MAX_OPENINGS = 16
"""Openings of one channel by one sender whose items wait for a slow callback."""

StreamCallback = Callable[[Chunk, ActrId], Awaitable[None] | None]


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
