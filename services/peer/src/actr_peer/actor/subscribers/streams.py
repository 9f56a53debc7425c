"""Who takes the streams that no generated code opened, by channel id: callbacks, and iterations.

Each sender's channel has its own line and worker, so one slow callback holds up its own channel
only. What is unregistered ends at once: its lines are its own, so who registers next begins anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from actr_peer.actor.subscribers.guarded import Guarded
from actr_peer.actor.subscribers.incoming import IncomingStream, IncomingStreams
from actr_peer.errors import BrokenError, BusyError, LimitError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.streams.chunks import Chunk, check_channel_id
from actr_peer.rpc.tracing import arrive_alone
from actr_peer.tasks import Start
from actr_peer.transport.channels import Streams
from actr_peer.transport.link import Link
from actr_peer.transport.stream_reader import StreamReader
from actr_peer.transport.streams import is_metered

log = logging.getLogger(__name__)

MAX_OPENINGS = 16
"""Openings of one channel by one sender that wait here to be taken."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """How one stream of a sender ended; all items before that were handed over.

    Attributes:
        last_sequence: Number of the last item that was handed over; -1: none was.
        error: None: a clean end. A ``CallError`` is the sender's own; any other took the stream
            away: its sender's process restarted, the link is gone, or a rule was broken.
    """

    channel_id: str
    last_sequence: int
    error: PeerError | None = None


StreamCallback = Callable[[Chunk, ActrId], Awaitable[None] | None]
EndCallback = Callable[[StreamEnd, ActrId], Awaitable[None] | None]


class _Line:
    """One sender's openings of one channel, oldest first: the next waits for the last."""

    __slots__ = ("readers", "streams", "worker")

    def __init__(self) -> None:
        self.readers: deque[StreamReader] = deque()
        self.streams: dict[StreamReader, IncomingStream] = {}
        """Those of an iteration, by reader."""
        self.worker: asyncio.Task[None] | None = None

    def abandon(self, link: Link) -> None:
        """A reliable opening begins. What was said before it on its link has come before it, so
        one that has not ended never will: it must not hold up this one for ever."""
        for reader in self.readers:
            if reader.link is link and not reader.has_heard_end:
                text = f"channel {reader.channel_id} was opened again without an end"
                reader.lose(BrokenError(text))


class _Taker:
    """Who takes one channel id, from registering to unregistering."""

    __slots__ = ("callback", "incoming", "is_over", "lines", "on_end")

    def __init__(
        self,
        callback: Guarded[Chunk] | None = None,
        on_end: Guarded[StreamEnd] | None = None,
        incoming: IncomingStreams | None = None,
    ) -> None:
        self.callback = callback
        self.on_end = on_end
        self.incoming = incoming
        self.is_over = False
        self.lines: dict[ActrId, _Line] = {}


class StreamSubscribers:
    """Callbacks and iterations by channel id; owned by the node."""

    def __init__(self, streams: Streams, start: Start) -> None:
        self._streams = streams
        self._start = start
        self._takers: dict[str, _Taker] = {}
        self._error: PeerError | None = None

    def register(
        self, channel_id: str, callback: StreamCallback, on_end: EndCallback | None = None
    ) -> Callable[[], None]:
        """Call ``callback(chunk, sender)`` for each item on ``channel_id``, from any sender, and
        ``on_end(end, sender)`` behind the last of each stream.

        Items of one sender come in order and one at a time, also where it ends the channel and
        opens it again. Returns what unregisters it, at once: no call begins after that, what
        waits is dropped, and those who still send are told to stop.

        Raises:
            BusyError: If somebody takes the channel already.
            ClosedError: If the actor is closed.
            LimitError: If the id is longer than 64 characters.
            LocalProtocolError: If it is empty, or no text.
        """
        name = f"stream/{channel_id}"
        ending = None if on_end is None else Guarded(name, on_end)
        return self._add(channel_id, _Taker(Guarded(name, callback), ending))

    def admit(self, channel_id: str, incoming: IncomingStreams) -> Callable[[], None]:
        """Have the streams on ``channel_id`` put into ``incoming``; returns what ends that.

        Raises:
            BusyError, ClosedError, LimitError, LocalProtocolError: As :meth:`register`.
        """
        return self._add(channel_id, _Taker(incoming=incoming))

    def _add(self, channel_id: str, taker: _Taker) -> Callable[[], None]:
        check_channel_id(channel_id)
        if self._error is not None:
            raise self._error
        if channel_id in self._takers:
            raise BusyError(f"channel {channel_id!r} is taken here already; unregister that first")
        self._takers[channel_id] = taker
        return partial(self._remove, channel_id, taker)

    def _remove(self, channel_id: str, taker: _Taker) -> None:
        if taker.is_over:
            return
        taker.is_over = True
        del self._takers[channel_id]
        for line in taker.lines.values():
            for reader in line.readers:
                self._streams.forget_reader(reader)

    def close(self, error: PeerError) -> None:
        """The actor is closed: whoever waits for streams hears of it, and nobody comes any more."""
        self._error = error
        for taker in self._takers.values():
            if taker.incoming is not None:
                taker.incoming.fail(error)

    def open(self, link: Link, payload_type: PayloadType, chunk: Chunk) -> StreamReader | None:
        """A reader for a channel that none reads, if somebody takes it.

        Raises:
            LimitError: If too many of its openings wait to be taken.
        """
        taker = self._takers.get(chunk.channel_id)
        if taker is None:
            return None
        line = taker.lines.get(link.remote)
        if line is not None and len(line.readers) >= MAX_OPENINGS:
            raise LimitError("openings of one channel", limit=MAX_OPENINGS, asked=MAX_OPENINGS + 1)
        streams = self._streams
        reader = streams.open_reader(link, chunk.channel_id, payload_type, opening=chunk.opening)
        if line is None:
            line = taker.lines[link.remote] = _Line()
        elif is_metered(payload_type):
            line.abandon(link)
        line.readers.append(reader)
        if taker.incoming is not None:
            stream = IncomingStream(reader, partial(self._taken, taker, line))
            line.streams[reader] = stream
            taker.incoming.put(stream)
        elif line.worker is None:
            self._begin(taker, line, reader)
        return reader

    def _begin(self, taker: _Taker, line: _Line, first: StreamReader) -> None:
        line.worker = self._start(
            f"stream/{first.channel_id}", self._work(taker, line), failed=lambda exc: None
        )
        line.worker.add_done_callback(lambda _: self._over(taker, first.remote, line))

    async def _work(self, taker: _Taker, line: _Line) -> None:
        arrive_alone()
        while line.readers and not taker.is_over:
            reader = line.readers[0]
            end = await self._hand_over(taker, reader)
            self._streams.forget_reader(reader)
            if end.error is not None:
                log.info("stream ended: channel=%s cause=%s", reader.channel_id, end.error)
            if taker.on_end is not None and not taker.is_over:
                await taker.on_end(end, reader.remote)
            line.readers.popleft()
            if not line.readers:
                # In this turn, not when the task is seen to be done: what is opened between would
                # stand in a line that nobody serves.
                self._leave(taker, reader.remote, line)

    async def _hand_over(self, taker: _Taker, reader: StreamReader) -> StreamEnd:
        """Call the callback for each item; returns how the stream ended."""
        callback, sender, last = taker.callback, reader.remote, -1
        assert callback is not None
        error = None
        try:
            while not taker.is_over:
                chunk = reader.take()
                if chunk is None:
                    if not await reader.arrival():
                        break
                    continue
                if chunk.sequence > last:
                    last = chunk.sequence
                rest = callback.begin(chunk, sender)
                if rest is not None:
                    await rest
        except PeerError as exc:
            error = exc
        return StreamEnd(reader.channel_id, last, error)

    def _taken(self, taker: _Taker, line: _Line, reader: StreamReader) -> None:
        """A stream of an iteration is over."""
        self._streams.forget_reader(reader)
        stream = line.streams.pop(reader)
        if taker.incoming is not None:
            taker.incoming.drop(stream)
        if not taker.is_over:
            line.readers.remove(reader)
            if not line.readers:
                self._leave(taker, reader.remote, line)

    def _over(self, taker: _Taker, sender: ActrId, line: _Line) -> None:
        """The worker has ended, well or not: nothing of its line is left."""
        self._leave(taker, sender, line)
        for reader in line.readers:
            self._streams.forget_reader(reader)

    def _leave(self, taker: _Taker, sender: ActrId, line: _Line) -> None:
        if taker.lines.get(sender) is line:
            del taker.lines[sender]
