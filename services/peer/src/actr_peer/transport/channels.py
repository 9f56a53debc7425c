"""All channels of a node: which half a chunk is for, and what becomes of those for none."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count

from actr_peer.errors import BrokenError, CallError, Code, LimitError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.session.budget import Budget
from actr_peer.protocol.streams.age import Clock
from actr_peer.protocol.streams.chunks import (
    Chunk,
    Credit,
    Kind,
    check_channel_id,
    encode_stream_cancel,
)
from actr_peer.protocol.streams.halves import FIRST
from actr_peer.transport.link import Link
from actr_peer.transport.link_view import StreamView, stream_views
from actr_peer.transport.stream_reader import StreamReader
from actr_peer.transport.streams import StreamWriter, busy, is_metered, say

MAX_STREAMS_PER_REMOTE = 16 * 1024
"""Halves, of both directions; each costs about 4 KiB, and what they hold has one bound for all."""
MAX_REMEMBERED = 16 * 1024
"""Channels of one remote of which it is known that they were refused, and as many of which it is
known which opening was the last; oldest forgotten first."""

_ITEM = Kind.ITEM  # looked up once: it is on the path of every item

Name = tuple[ActrId, str]
Opening = tuple[str, int]
"""Channel id and number of one of its openings."""
Key = tuple[ActrId, str, int]
"""Remote, channel id, opening."""
Unknown = Callable[[Link, PayloadType, Chunk], StreamReader | None]
Early = Callable[[Link, Chunk], bool]


@dataclass(slots=True)
class StreamCounts:
    """What did not reach a reader, and why; and how often one held its writer up."""

    unknown: int = 0
    """Items of channels that nobody reads."""
    refused: int = 0
    """Named channels that were one too many."""
    stale: int = 0
    """Latency-first items that were too old when their turn came, of streams that are over."""
    dropped: int = 0
    """Latency-first items that slow consumers lost, of streams that are over."""
    broken: int = 0
    """Streams whose items or end did not come as they must."""
    stalls: int = 0
    """Times that a stream that had begun waited for its reader to take more."""


class Streams:
    """The halves by remote and channel id, so that no remote has a word in another's; owned by
    the node.

    Args:
        unknown: Asked for a reader when the first item comes on a channel that has none.
        early: Hears what comes on a channel that is not open here; True if it is about to be.
    """

    def __init__(
        self,
        *,
        unknown: Unknown = lambda link, payload_type, chunk: None,
        early: Early = lambda link, chunk: False,
    ) -> None:
        self.counts = StreamCounts()
        self.budget = Budget()
        """What all streams hold for who takes their items."""
        self._unknown = unknown
        self._early = early
        self._readers: dict[Key, StreamReader] = {}
        self._writers: dict[Name, StreamWriter] = {}
        self._open: dict[StreamReader | StreamWriter, None] = {}
        """Oldest first."""
        self._per_remote: dict[ActrId, int] = {}
        self._openings = count(1)
        self._refused: dict[ActrId, OrderedDict[Opening, None]] = {}
        """Whose items came to nobody, by remote, newest last."""
        self._begun: dict[ActrId, OrderedDict[str, int]] = {}
        """The last opening of latency-first channels, whose late items begin no other."""
        self._clocks: dict[ActrId, Clock] = {}
        """Of remotes that have sent latency-first items."""

    def open_reader(
        self,
        link: Link,
        channel_id: str,
        payload_type: PayloadType,
        *,
        opening: int = 0,
        route_key: str = "",
    ) -> StreamReader:
        """Make the receiving half; leave it with :meth:`forget_reader`.

        Args:
            route_key: Of the method whose stream it is, for who looks on.

        Raises:
            LimitError: If the remote has too many channels open, or the id is out of bounds.
            BusyError: If it is open already.
        """
        check_channel_id(channel_id)
        key = (link.remote, channel_id, opening)
        if key in self._readers:
            raise busy(channel_id)
        reader = StreamReader(
            link,
            channel_id,
            payload_type,
            over=self._unroute_reader,
            opening=opening,
            budget=self.budget,
            clock=None if is_metered(payload_type) else self._clock(link.remote),
            route_key=route_key,
        )
        self._count_up(reader)
        self._readers[key] = reader
        return reader

    def open_writer(
        self,
        link: Link,
        channel_id: str,
        payload_type: PayloadType,
        *,
        credit: Credit | None,
        opening: int = 0,
        route_key: str = "",
    ) -> StreamWriter:
        """Make the sending half; leave it with :meth:`forget_writer`.

        Args:
            credit: What the far side takes; None: it says so when it listens.
            route_key: Of the method whose stream it is, for who looks on.

        Raises:
            LimitError: If the remote has too many channels open, or the id is out of bounds.
            BusyError: If it is open already.
        """
        check_channel_id(channel_id)
        name = (link.remote, channel_id)
        if name in self._writers:
            raise busy(channel_id)
        writer = StreamWriter(
            link,
            channel_id,
            payload_type,
            credit=credit,
            over=self._unroute_writer,
            stalled=self._stalled,
            opening=opening,
            route_key=route_key,
        )
        self._count_up(writer)
        self._writers[name] = writer
        return writer

    @asynccontextmanager
    async def sending(
        self, link: Link, channel_id: str, payload_type: PayloadType
    ) -> AsyncIterator[StreamWriter]:
        """A block in which a named channel is open. Leaving it ends the stream behind all of its
        items; an error that leaves it ends the stream with that error.

        Raises:
            LimitError, BusyError: As :meth:`open_writer`.
            BrokenError: On leaving, if the far side took no more, or the link broke.
        """
        writer = self.open_named(link, channel_id, payload_type)
        try:
            yield writer
            await writer.finish()
        except Exception as exc:
            writer.end(_as_call_error(exc))
            raise
        finally:
            self.forget_writer(writer)

    def open_named(self, link: Link, channel_id: str, payload_type: PayloadType) -> StreamWriter:
        """Make the sending half of a channel that needs no opening.

        Raises:
            LimitError, BusyError: As :meth:`open_writer`.
        """
        return self.open_writer(
            link, channel_id, payload_type, credit=FIRST, opening=next(self._openings)
        )

    def forget_reader(self, reader: StreamReader) -> None:
        """Drop the receiving half; the far half is told if it still sends."""
        if reader in self._open:
            self.counts.stale += reader.stale
            self.counts.dropped += reader.dropped
        reader.close()
        self._count_down(reader)

    def forget_writer(self, writer: StreamWriter) -> None:
        """Drop the sending half; one that has not ended was given up, and the far side is told.

        A clean end here would pass off half of a stream as the whole of it.
        """
        writer.end(CallError(Code.CANCELLED, "the sender gave up"))
        self._unroute_writer(writer)

    def receive(self, link: Link, payload_type: PayloadType, chunk: Chunk) -> None:
        """Route one chunk from ``link`` to the half that it is for."""
        kind = chunk.kind
        if kind is not _ITEM and kind in (Kind.CREDIT, Kind.CANCEL):
            self._word_to_writer(link, chunk)
            return
        reader = self._readers.get((link.remote, chunk.channel_id, chunk.opening))
        if reader is not None and reader.link is link:
            if not reader.deliver(chunk):
                self.counts.broken += 1
        elif self._early(link, chunk):
            pass
        elif kind is _ITEM:
            self._unknown_item(link, payload_type, chunk)
        elif chunk.opening and chunk.sequence:
            # A latency-first end may overtake all of its items: they begin nothing any more.
            self._remember_opening(link.remote, chunk)

    def reject(self, link: Link, channel_id: str, opening: int, error: PeerError) -> None:
        """A chunk could not be read: what the channel has lost, its reader must hear of."""
        reader = self._readers.get((link.remote, channel_id, opening))
        if reader is not None and reader.link is link:
            self.counts.broken += 1
            reader.fail(error)

    def came_early(self, remote: ActrId, channel_id: str) -> bool:
        """Whether items of a channel have come, and gone, before its opening."""
        return (channel_id, 0) in self._refused.get(remote, ())

    def fail_link(self, link: Link, error: PeerError) -> None:
        """The link is gone, or its far process has restarted: its channels end with ``error``.

        Nothing is said: the new process would take it for word about a channel of its own.
        """
        for half in [half for half in self._open if half.link is link]:
            if isinstance(half, StreamReader):
                half.lose(error)
            else:
                half.stop(error)
        self._clocks.pop(link.remote, None)  # a new process has a clock of its own
        self._refused.pop(link.remote, None)
        self._begun.pop(link.remote, None)  # a new process counts from 1 again

    def is_open_to(self, remote: ActrId) -> bool:
        """Whether a channel from or to ``remote`` is open."""
        return remote in self._per_remote

    @property
    def open_count(self) -> int:
        """Halves that are open, or hold something."""
        return len(self._open)

    def view(self, most: int) -> tuple[StreamView, ...]:
        """The oldest of those halves, at most so many."""
        return stream_views(self._open, most)

    def _word_to_writer(self, link: Link, chunk: Chunk) -> None:
        writer = self._writers.get((link.remote, chunk.channel_id))
        if writer is None or writer.link is not link:
            # Mostly word about a channel that has ended here: late, and harmless.
            self._early(link, chunk)
        elif chunk.opening not in (0, writer.opening):
            pass  # about an earlier channel of this name
        elif chunk.kind is Kind.CREDIT:
            writer.grant(chunk.credit)
        else:
            writer.stop(BrokenError(f"the far side takes no more of {chunk.channel_id}"))

    def _unknown_item(self, link: Link, payload_type: PayloadType, chunk: Chunk) -> None:
        if self._may_begin(link.remote, payload_type, chunk):
            try:
                reader = self._unknown(link, payload_type, chunk)
            except LimitError:
                self.counts.refused += 1
                reader = None
            if reader is not None:
                if chunk.opening and not is_metered(payload_type):
                    self._remember_opening(link.remote, chunk)
                reader.listen()
                reader.deliver(chunk)
                return
        self.counts.unknown += 1
        if is_metered(payload_type) and self._is_new_refusal(link.remote, chunk):
            say(link, encode_stream_cancel(chunk.channel_id, opening=chunk.opening))

    def _is_new_refusal(self, remote: ActrId, chunk: Chunk) -> bool:
        refused = self._refused.setdefault(remote, OrderedDict())
        opening = (chunk.channel_id, chunk.opening)
        if opening in refused:
            return False
        refused[opening] = None
        if len(refused) > MAX_REMEMBERED:
            refused.popitem(last=False)
        return True

    def _may_begin(self, remote: ActrId, payload_type: PayloadType, chunk: Chunk) -> bool:
        """Whether an item is the first of its channel, and not a late one of one that is over."""
        if is_metered(payload_type):
            return chunk.sequence == 0
        begun = self._begun.get(remote)
        last = begun.get(chunk.channel_id, 0) if begun is not None else 0
        return not chunk.opening or chunk.opening > last

    def _remember_opening(self, remote: ActrId, chunk: Chunk) -> None:
        begun = self._begun.setdefault(remote, OrderedDict())
        name = chunk.channel_id
        begun[name] = max(chunk.opening, begun.get(name, 0))
        begun.move_to_end(name)
        if len(begun) > MAX_REMEMBERED:
            begun.popitem(last=False)

    def _clock(self, remote: ActrId) -> Clock:
        clock = self._clocks.get(remote)
        if clock is None:
            clock = self._clocks[remote] = Clock()
        return clock

    def _unroute_reader(self, reader: StreamReader) -> None:
        """Nothing more is heard: the next item of its name begins another channel."""
        key = (reader.remote, reader.channel_id, reader.opening)
        if self._readers.get(key) is reader:
            del self._readers[key]

    def _stalled(self) -> None:
        self.counts.stalls += 1

    def _unroute_writer(self, writer: StreamWriter) -> None:
        name = (writer.link.remote, writer.channel_id)
        if self._writers.get(name) is writer:
            del self._writers[name]
        self._count_down(writer)

    def _count_up(self, half: StreamReader | StreamWriter) -> None:
        remote = half.link.remote
        halves = self._per_remote.get(remote, 0) + 1
        if halves > MAX_STREAMS_PER_REMOTE:
            raise LimitError("stream halves open", limit=MAX_STREAMS_PER_REMOTE, asked=halves)
        self._per_remote[remote] = halves
        self._open[half] = None

    def _count_down(self, half: StreamReader | StreamWriter) -> None:
        if half not in self._open:
            return
        del self._open[half]
        remote = half.link.remote
        self._per_remote[remote] -= 1
        if not self._per_remote[remote]:
            del self._per_remote[remote]


def _as_call_error(exc: Exception) -> CallError:
    """What the far side is told of an error that left the block of a stream: its own words only
    where they were meant for others."""
    if isinstance(exc, CallError):
        return exc
    return CallError(Code.ABORTED, f"the sender failed with {type(exc).__name__}")
