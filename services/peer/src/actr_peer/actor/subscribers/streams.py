"""Who takes the streams that no generated code opened, by channel id: callbacks, and iterations.

Each sender's channel has its own line, so one slow callback holds up its own channel
only. What is unregistered ends at once: its lines are its own, so who registers next begins anew.
"""

from __future__ import annotations

import logging
from asyncio import Task
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import iscoroutine

from actr_peer.actor.subscribers.guarded import Guarded, Who
from actr_peer.actor.subscribers.incoming import IncomingStream, IncomingStreams
from actr_peer.actor.subscribers.lines import Line, Ready, StreamEnd, Taker
from actr_peer.errors import BusyError, LimitError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.access.principals import Principal
from actr_peer.protocol.streams.chunks import Chunk, check_channel_id
from actr_peer.tasks import Start
from actr_peer.transport.channels import Streams
from actr_peer.transport.link import Link
from actr_peer.transport.stream_reader import StreamReader
from actr_peer.transport.streams import is_metered

log = logging.getLogger(__name__)

MAX_OPENINGS = 16
"""Openings of one channel by one sender that wait here to be taken."""


StreamCallback = Callable[[Chunk, Principal], Awaitable[None] | None]
EndCallback = Callable[[StreamEnd, Principal], Awaitable[None] | None]


class StreamSubscribers:
    """Callbacks and iterations by channel id; owned by the node.

    Args:
        who: Asked about each sender, for those who take its streams.
    """

    def __init__(self, streams: Streams, start: Start, who: Who = Principal.unproven) -> None:
        self._who = who
        self._streams = streams
        self._start = start
        self._takers: dict[str, Taker] = {}
        self._ready = Ready()
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
        ending = None if on_end is None else Guarded(name, on_end, self._who)
        return self._add(channel_id, Taker(Guarded(name, callback, self._who), ending))

    def admit(self, channel_id: str, incoming: IncomingStreams) -> Callable[[], None]:
        """Have the streams on ``channel_id`` put into ``incoming``; returns what ends that.

        Raises:
            BusyError, ClosedError, LimitError, LocalProtocolError: As :meth:`register`.
        """
        return self._add(channel_id, Taker(incoming=incoming))

    def _add(self, channel_id: str, taker: Taker) -> Callable[[], None]:
        check_channel_id(channel_id)
        if self._error is not None:
            raise self._error
        if channel_id in self._takers:
            raise BusyError(f"channel {channel_id!r} is taken here already; unregister that first")
        self._takers[channel_id] = taker
        return partial(self._remove, channel_id, taker)

    def _remove(self, channel_id: str, taker: Taker) -> None:
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
            line = taker.lines[link.remote] = Line(taker, self._ready, partial(self._begin, taker))
        elif is_metered(payload_type):
            line.abandon(link)
        line.readers.append(reader)
        if taker.incoming is not None:
            stream = IncomingStream(reader, partial(self._taken, taker, line), self._who)
            line.streams[reader] = stream
            taker.incoming.put(stream)
        else:
            line.watch(reader)
        return reader

    def _begin(self, taker: Taker, line: Line, rest: Awaitable[None] | None) -> None:
        first = line.readers[0]
        task = self._start(
            f"stream/{first.channel_id}", self._work(taker, line, rest), failed=lambda exc: None
        )

        def over(_: Task[None]) -> None:
            if iscoroutine(rest):
                rest.close()  # of a task that was cancelled before it ran; else it is over
            self._over(taker, first.remote, line)

        task.add_done_callback(over)

    async def _work(self, taker: Taker, line: Line, rest: Awaitable[None] | None) -> None:
        callback = taker.callback
        assert callback is not None
        if rest is not None:
            await callback.finish(rest, line.readers[0].remote)
        while line.readers and not taker.is_over:
            reader = line.readers[0]
            end = await self._hand_over(taker, line, reader)
            self._streams.forget_reader(reader)
            if end.error is not None:
                log.info("stream ended: channel=%s cause=%s", reader.channel_id, end.error)
            if taker.on_end is not None and not taker.is_over:
                await taker.on_end(end, reader.remote)
            line.readers.popleft()
            line.last = -1
            if not line.readers:
                # In this turn, not when the task is seen to be done: what is opened between would
                # stand in a line that nobody serves.
                self._leave(taker, reader.remote, line)

    async def _hand_over(self, taker: Taker, line: Line, reader: StreamReader) -> StreamEnd:
        """Call the callback for each item; returns how the stream ended."""
        callback, error = taker.callback, None
        assert callback is not None
        try:
            while not taker.is_over:
                rest = line.hand_over(reader)
                if rest is not None:
                    await callback.finish(rest, reader.remote)
                elif not await reader.arrival():
                    break
        except PeerError as exc:
            error = exc
        return StreamEnd(reader.channel_id, line.last, error)

    def _taken(self, taker: Taker, line: Line, reader: StreamReader) -> None:
        """A stream of an iteration is over."""
        self._streams.forget_reader(reader)
        stream = line.streams.pop(reader)
        if taker.incoming is not None:
            taker.incoming.drop(stream)
        if not taker.is_over:
            line.readers.remove(reader)
            if not line.readers:
                self._leave(taker, reader.remote, line)

    def _over(self, taker: Taker, sender: ActrId, line: Line) -> None:
        """The task has ended, well or not: nothing of its line is left."""
        self._leave(taker, sender, line)
        for reader in line.readers:
            self._streams.forget_reader(reader)

    def _leave(self, taker: Taker, sender: ActrId, line: Line) -> None:
        if taker.lines.get(sender) is line:
            del taker.lines[sender]
