"""The receiving half of a stream (docs/protocol/streams.md)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Self

from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.session.budget import Budget, Holding
from actr_peer.protocol.streams.age import Clock
from actr_peer.protocol.streams.chunks import (
    Chunk,
    Credit,
    Kind,
    encode_credit,
    encode_stream_cancel,
)
from actr_peer.protocol.streams.halves import ReadingHalf
from actr_peer.protocol.streams.states import OVER
from actr_peer.transport.link import Link
from actr_peer.transport.streams import is_metered, say

log = logging.getLogger(__name__)

LINGER = 0.25
"""Seconds that the end of a latency-first channel waits for items that it overtook:
their life of 0.1 s and a margin for the path."""

LIGHT_BYTES = 8 * 1024
"""What a stream may hold without being counted among all streams: 128 MiB, where one remote has as
many as it may."""

_ITEM = Kind.ITEM  # looked up once: it is on the path of every item


class StreamReader:
    """The receiving half of one channel: an async iterator of :class:`Chunk` items.

    Made by :class:`~actr_peer.transport.channels.Streams`. One task iterates. A clean end ends
    the iteration; an error of the far side or of the link is raised after the items that came
    before it.

    Args:
        over: Told that nothing more is heard; what is held may still be taken.
    """

    def __init__(
        self,
        link: Link,
        channel_id: str,
        payload_type: PayloadType,
        *,
        over: Callable[[StreamReader], None],
        opening: int = 0,
        budget: Budget | None = None,
        clock: Clock | None = None,
        route_key: str = "",
    ) -> None:
        self.link = link
        self.remote = link.remote
        self.channel_id = channel_id
        self.payload_type = payload_type
        self.route_key = route_key
        self.opening = opening
        self.has_heard_end = False
        """Whether the far side has ended its half, well or with an error."""
        self.on_arrival: Callable[[], None] | None = None
        """Called where something has come, or it has ended, and nobody waits in :meth:`arrival`."""
        self._over = over
        self._clock = clock
        self._half = ReadingHalf(is_metered=is_metered(payload_type))
        self._items = self._half.held
        self._holding = Holding(budget or Budget(), self._drop)
        self._arrived: asyncio.Future[None] | None = None

    is_outbound: Final = False

    @property
    def items(self) -> int:
        """Items that have come."""
        return self._half.received

    @property
    def dropped(self) -> int:
        """Latency-first items that a slow consumer lost."""
        return self._half.dropped

    @property
    def stale(self) -> int:
        """Latency-first items that were too old when their turn came."""
        return self._half.stale

    @property
    def is_over(self) -> bool:
        """Whether all items have been taken and none comes."""
        return not self._items and self._half.state in OVER

    @property
    def held_bytes(self) -> int:
        """Bytes of items that wait to be taken."""
        return self._half.held_bytes

    @property
    def is_awaited(self) -> bool:
        """Whether a task waits for the next item."""
        return self._arrived is not None

    def listen(self) -> Credit:
        """Take a window of items, of which the far side knows."""
        return self._half.listen()

    def grant_first(self) -> None:
        """Take a window of items, and tell the far side."""
        self._say(encode_credit(self.channel_id, self._half.listen(), opening=self.opening))

    def deliver(self, chunk: Chunk) -> bool:
        """Take one item, the end or the error of the far half; False if it broke the rules, so
        that this half has failed and the far one is told to stop."""
        half = self._half
        if chunk.sent_at and self._clock is not None:
            chunk.born_at = self._clock.sent_at(chunk.sent_at, asyncio.get_running_loop().time())
        try:
            half.receive(chunk)
        except (RemoteProtocolError, LimitError) as exc:
            log.warning("stream broken: remote=%s cause=%r", self.remote, str(exc))
            self._say(encode_stream_cancel(self.channel_id, opening=self.opening))
            self._finish()
            return False
        if half.held_bytes > LIGHT_BYTES:
            self._weigh()
        if chunk.kind is not _ITEM:
            self.has_heard_end = True
            if half.is_short:
                asyncio.get_running_loop().call_later(LINGER, self._give_up_on_late)
            else:
                self._finish()
        self._wake()
        return True

    def fail(self, error: Exception) -> None:
        """End with ``error`` once the items that are here have been taken."""
        if self._half.fail(error):
            if not self.has_heard_end:
                self._say(encode_stream_cancel(self.channel_id, opening=self.opening))
            self._finish()

    def lose(self, error: Exception) -> None:
        """The far half is gone: as :meth:`fail`, and nothing is said.

        Another process may be at the far side now, and have an opening of the same number.
        """
        if self._half.fail(error):
            self._finish()

    def close(self) -> None:
        """Take no more: the far half is told to stop. Harmless when it has ended."""
        if self._half.close():
            self._say(encode_stream_cancel(self.channel_id, opening=self.opening))
        self._holding.close()
        self._finish()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        while True:
            chunk = self.take()
            if chunk is not None:
                return chunk
            if not await self.arrival():
                raise StopAsyncIteration

    def take(self) -> Chunk | None:
        """The next item if one is here; None: wait for :meth:`arrival`."""
        half = self._half
        if not half.is_metered:
            now = asyncio.get_running_loop().time()
            half.drop_stale(now)
        if not self._items:
            return None
        chunk = half.take()
        if chunk.sent_at and not half.is_metered:
            chunk.age = now - chunk.born_at
        if self._holding:
            self._weigh()
        credit = half.due()
        if credit is not None:
            self._say(encode_credit(self.channel_id, credit, opening=self.opening))
        return chunk

    async def arrival(self) -> bool:
        """Wait for an item; False: there is none any more, for the half has ended well.

        Raises:
            PeerError: What ended it otherwise, after all items that came before.
        """
        half = self._half
        while not self._items:
            if half.state in OVER:
                if half.error is not None:
                    raise half.error
                return False
            self._arrived = asyncio.get_running_loop().create_future()
            try:
                await self._arrived
            finally:
                self._arrived = None
        return True

    def _give_up_on_late(self) -> None:
        self._half.give_up_on_late()
        self._finish()

    def _weigh(self) -> None:
        self._holding.weigh(self._half.held_bytes, asyncio.get_running_loop().time())

    def _drop(self, error: LimitError) -> None:
        """Too much is held by all streams, and of this one nothing was taken for longest."""
        log.warning("stream dropped: remote=%s cause=%s", self.remote, error)
        if not self.has_heard_end:
            self._say(encode_stream_cancel(self.channel_id, opening=self.opening))
        self._half.give_up(error)
        self._finish()

    def _finish(self) -> None:
        self._wake()
        self._over(self)

    def _wake(self) -> None:
        if self._arrived is not None:
            if not self._arrived.done():
                self._arrived.set_result(None)
        elif self.on_arrival is not None:
            self.on_arrival()

    def _say(self, word: bytes) -> None:
        say(self.link, word)
