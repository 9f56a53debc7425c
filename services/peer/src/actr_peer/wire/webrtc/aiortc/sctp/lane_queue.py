"""What waits to be sent on one association: messages by rank, and the chunks of one message."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from aiortc import RTCDataChannel
from aiortc.rtcsctptransport import DataChunk

from actr_peer.protocol.payload import TRAFFIC, PayloadType
from actr_peer.wire.base import CHANNELS

RANKS = tuple(TRAFFIC[PayloadType(channel)].rank for channel in range(CHANNELS))

_Item = tuple[RTCDataChannel, int, bytes, float]


class LaneQueue:
    """Messages that wait, by rank of their channel; stands in for aiortc's one deque."""

    def __init__(self) -> None:
        self._lanes: tuple[deque[_Item], ...] = tuple(deque() for _ in range(CHANNELS))
        self.held: set[int] = set()
        """Channels that are being closed and opened again: what they send waits for that."""
        self.bytes = 0

    def append(self, item: tuple[RTCDataChannel, int, bytes]) -> None:
        channel, protocol, data = item
        rank = RANKS[channel.id or 0]
        self._lanes[rank].append((channel, protocol, data, time.monotonic()))
        self.bytes += len(data)

    def popleft(self) -> _Item:
        """The most urgent message.

        Raises:
            IndexError: If none may go now.
        """
        for lane in self._lanes:
            if lane and lane[0][0].id not in self.held:
                item = lane.popleft()
                self.bytes -= len(item[2])
                return item
        raise IndexError("no message may go now")

    def reopened(self, channel: RTCDataChannel) -> None:
        """Let what waited for this channel go, by its new self."""
        self.held.discard(channel.id or 0)
        lane = self._lanes[RANKS[channel.id or 0]]
        for _ in range(len(lane)):
            lane.append((channel, *lane.popleft()[1:]))

    def __bool__(self) -> bool:
        return self.bytes > 0 and any(
            lane and lane[0][0].id not in self.held for lane in self._lanes
        )

    def __iter__(self) -> Iterator[tuple[RTCDataChannel, int, bytes]]:
        """As aiortc's; a reset of a channel waits for what this yields, so not for the held."""
        for lane in self._lanes:
            for channel, protocol, data, _ in lane:
                if channel.id not in self.held:
                    yield channel, protocol, data


class OutboundChunk(DataChunk):
    """A part of a message, as aiortc's ``_send`` makes it; what it begins with is the class's."""

    _abandoned = False
    _acked = False
    _in_flight = False
    _max_retransmits = None
    _misses = 0
    _retransmit = False
    _sent_count = 0
    _sent_time = None

    def __init__(
        self, flags: int, tsn: int, stream: tuple[int, int, int], data: bytes, expiry: float | None
    ) -> None:
        self.flags = flags
        self.tsn = tsn
        self.stream_id, self.stream_seq, self.protocol = stream
        self.user_data = data
        self._book_size = len(data)
        self._expiry = expiry


class ChunkQueue(deque[DataChunk]):
    """Chunks that wait for the window, and their size: aiortc uses both ends of it."""

    bytes = 0

    def append(self, chunk: DataChunk, /) -> None:
        self.bytes += len(chunk.user_data)
        super().append(chunk)

    def popleft(self) -> DataChunk:
        chunk = super().popleft()
        self.bytes -= len(chunk.user_data)
        return chunk
