"""Streams that come in, taken by iterating: who sends, its items, and how it ended."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from actr_peer.actor.subscribers.guarded import Who
from actr_peer.errors import ClosedError, LocalProtocolError, PeerError, StreamFailedError
from actr_peer.protocol.rpc.access.principals import Principal
from actr_peer.protocol.streams.chunks import Chunk
from actr_peer.transport.stream_reader import StreamReader


class IncomingStream:
    """One stream of one sender: an async iterator of its :class:`Chunk` items, by one task.

    A clean end ends the iteration. Items that are not taken hold up the sender, and nobody else.

    Attributes:
        last_sequence: Number of the last item that was handed over; -1: none yet.

    Raises:
        StreamFailedError: From the iteration, where the sender ended with an error or was taken
            away, after all items that came before.
        ClosedError: From the iteration, where it was closed on this side.
        LocalProtocolError: From the iteration, while another task waits for the next item.
    """

    def __init__(
        self,
        reader: StreamReader,
        forget: Callable[[StreamReader], None],
        who: Who = Principal.unproven,
    ) -> None:
        self.last_sequence = -1
        self._who = who
        self._reader = reader
        self._forget = forget
        self._is_over = False
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<IncomingStream {self.channel_id!r} of {self.sender}>"

    @property
    def sender(self) -> Principal:
        """Who sends it, with what is known of it now."""
        return self._who(self._reader.remote)

    @property
    def channel_id(self) -> str:
        return self._reader.channel_id

    @property
    def dropped(self) -> int:
        """Latency-first items that this side took too slowly."""
        return self._reader.dropped

    @property
    def stale(self) -> int:
        """Latency-first items that were too old when their turn came."""
        return self._reader.stale

    def close(self) -> None:
        """Take no more: what waits is dropped, and the sender told to stop. Twice is harmless."""
        self._is_closed = self._is_closed or not self._is_over
        self._end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        if self._is_closed:
            raise ClosedError(f"stream {self.channel_id!r} was closed on this side")
        if self._reader.is_awaited:
            text = f"two tasks take items of stream {self.channel_id!r}: one has to do it"
            raise LocalProtocolError(text)
        try:
            chunk = await anext(self._reader)
        except StopAsyncIteration:
            if self._is_closed:
                text = f"stream {self.channel_id!r} was closed on this side"
                raise ClosedError(text) from None
            self._end()
            raise
        except PeerError as exc:
            self._end()
            raise StreamFailedError(self.channel_id, self.last_sequence, exc) from exc
        self.last_sequence = max(self.last_sequence, chunk.sequence)
        return chunk

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._forget(self._reader)

    @property
    def is_over(self) -> bool:
        """Whether nothing is taken from it any more."""
        return self._is_over


class IncomingStreams:
    """A block in which the streams of one channel id come in, from any sender, each as an
    :class:`IncomingStream`; made by ``incoming`` of a ref or context.

    Several tasks may iterate over it: each stream comes to one of them. Leaving it ends all of them
    at once: what waits is dropped and the senders are told to stop.

    Args:
        enter: Has its streams come to it from now on; returns what ends that.

    Raises:
        BusyError: On entering, if somebody takes the channel already.
        ClosedError: On entering and from the iteration, if the actor is closed.
        LocalProtocolError: From the iteration, if the block was not entered.
    """

    def __init__(self, enter: Callable[[IncomingStreams], Callable[[], None]]) -> None:
        self._enter = enter
        self._leave: Callable[[], None] | None = None
        self._was_entered = False
        self._error: PeerError | None = None
        self._new: deque[IncomingStream] = deque()
        self._open: set[IncomingStream] = set()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._leave = self._enter(self)
        self._was_entered = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it, as leaving the block does: the iteration ends. Twice is harmless."""
        if self._leave is not None:
            self._leave()
            self._leave = None
        for stream in list(self._open):
            stream.close()
        self._open.clear()
        self._new.clear()
        self._changed.set()

    def fail(self, error: PeerError) -> None:
        """For the subscribers: no more will come."""
        self._error = error
        self._changed.set()

    def put(self, stream: IncomingStream) -> None:
        """For the subscribers: one has come."""
        self._open.add(stream)
        self._new.append(stream)
        self._changed.set()

    def drop(self, stream: IncomingStream) -> None:
        """For the subscribers: one is over; what was not taken of it is dropped with it."""
        self._open.discard(stream)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> IncomingStream:
        while not self._new:
            if self._error is not None:
                raise self._error
            if not self._was_entered:
                raise LocalProtocolError("enter the block first: async with ref.incoming(…) as …")
            if self._leave is None:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._new.popleft()
