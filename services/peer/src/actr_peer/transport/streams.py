"""Streams: channels of items inside the stream lanes of a link (spec 6, docs/protocol.md).

A channel has a name and two halves, each with one writer and one reader. Items travel on the
lane of the method's payload type; word about the channel (end, error, credit, cancel) travels
on ``STREAM_RELIABLE``, for a lost end would leave the reader waiting.

Back-pressure is per channel: a writer spends one credit an item and waits at none; the reader
grants more as items are taken, so a slow consumer holds up its own producer and nobody else.
Latency-first channels have no credit: a full reader drops its oldest item and counts it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from actr_peer.errors import BrokenError, CallError, ClosedError, Code, LimitError, PeerError
from actr_peer.protocol.chunks import (
    Chunk,
    encode_credit,
    encode_end,
    encode_item,
    encode_stream_cancel,
)
from actr_peer.protocol.envelopes import EMPTY
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import TRAFFIC, Overflow, PayloadType
from actr_peer.transport.link import Link

WINDOW = 64
"""Items that a reader holds, and so the credit that it grants at first."""
GRANT_EVERY = 16
"""Items taken before the next grant: one message of credit for many of data."""
LINGER = 0.25
"""Seconds that the end of a latency-first channel waits for items that it overtook:
their life of 0.1 s and a margin for the path."""
MAX_STREAMS_PER_REMOTE = 1024

Key = tuple[ActrId, str]


class StreamWriter:
    """The sending half of one channel.

    Made by :class:`Streams`. One task sends at a time. Closing it is :meth:`end`.
    """

    def __init__(
        self, link: Link, channel_id: str, payload_type: PayloadType, *, credit: int
    ) -> None:
        self.channel_id = channel_id
        self.sent = 0
        self._lane = link.lane(payload_type)
        self._control = link.lane(PayloadType.STREAM_RELIABLE)
        self._is_metered = TRAFFIC[payload_type].overflow is Overflow.WAIT
        self._credit = credit
        self._is_accepted = credit > 0
        self._error: PeerError | None = None
        self._is_ended = False
        self._waiter: asyncio.Future[None] | None = None
        self.on_stop: Callable[[PeerError], None] | None = None
        """Called once when the far side cancels or the link breaks."""

    @property
    def is_stopped(self) -> bool:
        return self._error is not None or self._is_ended

    async def send(self, data: bytes, metadata: Mapping[str, str] = EMPTY) -> None:
        """Send one item; wait while the far side can take none.

        Cancelling while it waits sends nothing.

        Raises:
            BrokenError: If the far side takes no more, or the link broke.
            ClosedError: If this half was ended here.
            LimitError: If the item is longer than a message may be.
        """
        while True:
            if self._error is not None:
                raise self._error
            if self._is_ended:
                raise ClosedError(f"stream {self.channel_id} was ended on this side")
            if self._credit > 0 or (self._is_accepted and not self._is_metered):
                break
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        # Both before the wait below, so that a grant in the meantime adds to what is left.
        if self._is_metered:
            self._credit -= 1
        sequence, self.sent = self.sent, self.sent + 1
        await self._lane.send(encode_item(self.channel_id, sequence, data, metadata))

    def end(self, error: CallError | None = None) -> None:
        """End this half, well or with an error; harmless when it has ended."""
        if self.is_stopped:
            return
        self._is_ended = True
        self._control.post(encode_end(self.channel_id, self.sent, error))
        self._wake()

    def grant(self, messages: int) -> None:
        """The far side takes ``messages`` more."""
        self._is_accepted = True
        # A far side that grants without end gains nothing by it and must not overflow anything.
        self._credit = min(self._credit + messages, 1 << 20)
        self._wake()

    def stop(self, error: PeerError) -> None:
        """The far side takes no more, or is gone: senders get ``error``."""
        if self.is_stopped:
            return
        self._error = error
        self._wake()
        if self.on_stop is not None:
            self.on_stop(error)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class StreamReader:
    """The receiving half of one channel: an async iterator of :class:`Chunk` items.

    Made by :class:`Streams`. One task iterates. A clean end ends the iteration; an error of
    the far side or of the link is raised after the items that came before it.
    """

    def __init__(self, link: Link, channel_id: str, payload_type: PayloadType) -> None:
        self.channel_id = channel_id
        self.remote = link.remote
        self.dropped = 0
        """Latency-first items that a slow consumer lost."""
        self.received = 0
        self._control = link.lane(PayloadType.STREAM_RELIABLE)
        self._is_metered = TRAFFIC[payload_type].overflow is Overflow.WAIT
        self._items: deque[Chunk] = deque()
        self._taken = 0
        self._is_ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.on_end: Callable[[], None] | None = None

    def grant_first(self) -> None:
        """Tell the writer that this half listens and takes a window of items."""
        self._control.post(encode_credit(self.channel_id, WINDOW))

    def deliver(self, chunk: Chunk) -> None:
        """Take one item, the end or the error of the far half."""
        if self._is_ended:
            return
        if chunk.error is not None:
            self.fail(chunk.error)
        elif chunk.is_end:
            self._deliver_end(chunk.sequence)
        elif len(self._items) >= WINDOW:
            self._overflow(chunk)
        else:
            self.received += 1
            self._items.append(chunk)
            self._wake()

    def fail(self, error: Exception) -> None:
        """End with ``error`` once the items that are here have been taken."""
        if not self._is_ended:
            self._error = error
            self._finish()

    def close(self) -> None:
        """Take no more: the far half is told to stop. Harmless when it has ended."""
        if not self._is_ended:
            self._control.post(encode_stream_cancel(self.channel_id))
            self._finish()
        self._items.clear()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        while not self._items:
            if self._is_ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        item = self._items.popleft()
        if self._is_metered and not self._is_ended:
            self._taken += 1
            if self._taken >= GRANT_EVERY:
                self._control.post(encode_credit(self.channel_id, self._taken))
                self._taken = 0
        return item

    def _deliver_end(self, count: int) -> None:
        if self._is_metered or self.received + self.dropped >= count:
            self._finish()
        else:
            asyncio.get_running_loop().call_later(LINGER, self._finish)

    def _overflow(self, chunk: Chunk) -> None:
        if self._is_metered:
            # The writer had no credit for this one: it breaks the contract, so it is stopped.
            self._control.post(encode_stream_cancel(self.channel_id))
            self.fail(LimitError("items held for one stream", limit=WINDOW, asked=WINDOW + 1))
            return
        self._items.popleft()
        self.dropped += 1
        self._items.append(chunk)

    def _finish(self) -> None:
        if self._is_ended:
            return
        self._is_ended = True
        self._wake()
        if self.on_end is not None:
            self.on_end()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@dataclass(slots=True)
class StreamCounts:
    """What did not reach a reader, and why."""

    unknown: int = 0
    """Items of channels that nobody reads."""


class Streams:
    """All channels of a node, by remote and channel id; owned by the node."""

    def __init__(self) -> None:
        self.counts = StreamCounts()
        self.on_unknown: Callable[[Link, PayloadType, str], StreamReader | None] | None = None
        """Asked for a reader when an item comes on a channel that has none."""
        self._readers: dict[Key, StreamReader] = {}
        self._writers: dict[Key, StreamWriter] = {}
        self._per_remote: dict[ActrId, int] = {}

    def open_reader(self, link: Link, channel_id: str, payload_type: PayloadType) -> StreamReader:
        """Make the receiving half; leave it with :meth:`forget_reader`.

        Raises:
            LimitError: If the remote has too many channels open.
        """
        self._count_up(link.remote)
        reader = StreamReader(link, channel_id, payload_type)
        self._readers[link.remote, channel_id] = reader
        return reader

    def open_writer(
        self, link: Link, channel_id: str, payload_type: PayloadType, *, credit: int
    ) -> StreamWriter:
        """Make the sending half; leave it with :meth:`forget_writer`.

        Raises:
            LimitError: If the remote has too many channels open.
        """
        self._count_up(link.remote)
        writer = StreamWriter(link, channel_id, payload_type, credit=credit)
        self._writers[link.remote, channel_id] = writer
        return writer

    def forget_reader(self, remote: ActrId, reader: StreamReader) -> None:
        """Drop the receiving half; the far half is told if it still sends."""
        reader.close()
        if self._readers.pop((remote, reader.channel_id), None) is not None:
            self._count_down(remote)

    def forget_writer(self, remote: ActrId, writer: StreamWriter) -> None:
        """Drop the sending half; one that has not ended was given up, and the far side is told.

        A clean end here would pass off half of a stream as the whole of it.
        """
        writer.end(CallError(Code.CANCELLED, "the sender gave up"))
        if self._writers.pop((remote, writer.channel_id), None) is not None:
            self._count_down(remote)

    def receive(self, link: Link, payload_type: PayloadType, chunk: Chunk) -> None:
        """Route one chunk from ``link`` to the half that it is for."""
        key = (link.remote, chunk.channel_id)
        if chunk.credit or chunk.is_cancel:
            writer = self._writers.get(key)
            if writer is None:
                return  # word about a channel that has ended here: late, and harmless
            if chunk.credit:
                writer.grant(chunk.credit)
            else:
                writer.stop(BrokenError(f"the far side takes no more of {chunk.channel_id}"))
            return
        reader = self._readers.get(key)
        if reader is None and chunk.is_item and self.on_unknown is not None:
            reader = self.on_unknown(link, payload_type, chunk.channel_id)
        if reader is not None:
            reader.deliver(chunk)
        elif chunk.is_item:
            self.counts.unknown += 1
            if TRAFFIC[payload_type].overflow is Overflow.WAIT:
                link.lane(PayloadType.STREAM_RELIABLE).post(encode_stream_cancel(chunk.channel_id))

    def fail_remote(self, remote: ActrId, error: PeerError) -> None:
        """The far process is gone or has restarted: all its channels end with ``error``."""
        for key, reader in list(self._readers.items()):
            if key[0] == remote:
                reader.fail(error)
        for key, writer in list(self._writers.items()):
            if key[0] == remote:
                writer.stop(error)

    def is_open_to(self, remote: ActrId) -> bool:
        """Whether a channel from or to ``remote`` is open."""
        return remote in self._per_remote

    @property
    def open_count(self) -> int:
        return len(self._readers) + len(self._writers)

    def _count_up(self, remote: ActrId) -> None:
        count = self._per_remote.get(remote, 0) + 1
        if count > MAX_STREAMS_PER_REMOTE:
            raise LimitError("stream halves open", limit=MAX_STREAMS_PER_REMOTE, asked=count)
        self._per_remote[remote] = count

    def _count_down(self, remote: ActrId) -> None:
        count = self._per_remote.get(remote, 0) - 1
        if count > 0:
            self._per_remote[remote] = count
        else:
            self._per_remote.pop(remote, None)
