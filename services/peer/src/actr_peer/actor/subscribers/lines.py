"""One sender's openings of one channel, and how their items come to a callback.

Plain callbacks of all lines that have something are called one after the other in the next turn of
the loop: to wake a task for each costs more than the calls. The first that has to be awaited, and
the end of a stream, start a task, which does what is left of its line, in order::

    no task ─ something has come ─▶ called in the next turn ─┬─ nothing is left ─▶ no task
                                                             └─ to be awaited, or over ─▶ a task
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from dataclasses import dataclass

from actr_peer.actor.subscribers.guarded import Guarded
from actr_peer.actor.subscribers.incoming import IncomingStream, IncomingStreams
from actr_peer.errors import BrokenError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.streams.chunks import Chunk
from actr_peer.rpc.tracing import arrive_alone
from actr_peer.transport.link import Link
from actr_peer.transport.stream_reader import StreamReader


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


class Taker:
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
        self.lines: dict[ActrId, Line] = {}


class Ready:
    """Lines to which something has come, until the next turn of the loop."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque()
        self.context = copy_context()
        """Of who makes the actor: callbacks have copies of it, never that of who sends."""

    def add(self, line: Line) -> None:
        """Have :meth:`Line.run` called in the next turn."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._run)
        self._lines.append(line)

    def _run(self) -> None:
        lines, self._lines = self._lines, deque()
        try:
            while lines:
                lines.popleft().run()
        finally:
            for line in lines:  # a failure of ours in one does not lose the others
                self.add(line)


class Line:
    """One sender's openings of one channel, oldest first: the next waits for the last.

    Args:
        begin: Starts the task that does the rest, and first awaits what it is given.
    """

    __slots__ = (
        "_begin", "_context", "_is_ready", "_ready", "_taker", "has_task", "last", "readers",
        "streams",
    )  # fmt: skip

    def __init__(
        self, taker: Taker, ready: Ready, begin: Callable[[Line, Awaitable[None] | None], None]
    ) -> None:
        self.readers: deque[StreamReader] = deque()
        self.streams: dict[StreamReader, IncomingStream] = {}
        """Those of an iteration, by reader."""
        self.last = -1
        """Number of the last item of the first reader that was handed over."""
        self.has_task = False
        """A task does all that is left; it ends when there is no reader any more."""
        self._taker = taker
        self._ready = ready
        self._begin = begin
        self._is_ready = False
        self._context = ready.context.copy()
        self._context.run(arrive_alone)

    def watch(self, reader: StreamReader) -> None:
        """Hear of what comes to ``reader``, for the callback."""
        reader.on_arrival = self._note

    def abandon(self, link: Link) -> None:
        """A reliable opening begins. What was said before it on its link has come before it, so
        one that has not ended never will: it must not hold up this one for ever."""
        for reader in self.readers:
            if reader.link is link and not reader.has_heard_end:
                text = f"channel {reader.channel_id} was opened again without an end"
                reader.lose(BrokenError(text))

    def _note(self) -> None:
        if not self._is_ready and not self.has_task:
            self._is_ready = True
            self._ready.add(self)

    def run(self) -> None:
        """Call the callback for what is here, until that has to be awaited."""
        self._is_ready = False
        if not self.has_task and self.readers:
            self._context.run(self._call)

    def _call(self) -> None:
        reader = self.readers[0]
        rest = self.hand_over(reader)
        if (rest is not None or reader.is_over) and not self._taker.is_over:
            self.has_task = True
            self._begin(self, rest)

    def hand_over(self, reader: StreamReader) -> Awaitable[None] | None:
        """Call the callback for each item that is here; returns what is to be awaited before the
        next, None where none is here any more."""
        taker, sender = self._taker, reader.remote
        callback = taker.callback
        assert callback is not None
        while not taker.is_over:
            chunk = reader.take()
            if chunk is None:
                return None
            if chunk.sequence > self.last:
                self.last = chunk.sequence
            rest = callback.begin(chunk, sender)
            if rest is not None:
                return rest
        return None
