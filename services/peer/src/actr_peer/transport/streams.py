"""Streams: channels of items inside the stream lanes of a link (docs/protocol/streams.md).

What a half counts and decides is :mod:`actr_peer.protocol.streams.halves`; this waits, says and
wakes. Items travel on the lane of the method's payload type; word about the channel (end, error,
credit, cancel) travels on ``STREAM_RELIABLE``, for a lost end would leave the reader waiting.

Back-pressure is per channel: a writer spends credit and waits for more; the reader grants it as
items are taken, so a slow consumer holds up its own producer and nobody else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Self

from actr_peer.errors import (
    BusyError,
    CallError,
    ClosedError,
    LimitError,
    PeerError,
    RemoteProtocolError,
)
from actr_peer.protocol.payload import TRAFFIC, Overflow, PayloadType
from actr_peer.protocol.rpc.envelopes import EMPTY
from actr_peer.protocol.session.budget import Budget, Holding
from actr_peer.protocol.streams.chunks import (
    Chunk,
    Credit,
    Kind,
    encode_credit,
    encode_end,
    encode_item,
    encode_stream_cancel,
)
from actr_peer.protocol.streams.halves import OVER, ReadingHalf, State, WritingHalf
from actr_peer.transport.link import Link

log = logging.getLogger(__name__)

LINGER = 0.25
"""Seconds that the end of a latency-first channel waits for items that it overtook:
their life of 0.1 s and a margin for the path."""

LIGHT_BYTES = 64 * 1024
"""What a stream may hold without being counted among all streams."""

RELIABLE = PayloadType.STREAM_RELIABLE
_ITEM = Kind.ITEM  # looked up once: it is on the path of every item


def say(link: Link, message: bytes) -> None:
    """Post word about a stream; with a link that is gone, nobody is there to hear it."""
    try:
        link.lane(RELIABLE).post(message)
    except PeerError as exc:
        log.debug("not said: remote=%s cause=%s", link.remote, exc)


def is_metered(payload_type: PayloadType) -> bool:
    """Whether items of this kind spend credit."""
    return TRAFFIC[payload_type].overflow is Overflow.WAIT


class StreamWriter:
    """The sending half of one channel.

    Made by :class:`~actr_peer.transport.channels.Streams`. Closing it is :meth:`end`. Several
    tasks may send: each item goes as a whole, in the order of the calls.

    Args:
        over: Told that nothing more is sent or heard.
    """

    def __init__(
        self,
        link: Link,
        channel_id: str,
        payload_type: PayloadType,
        *,
        credit: Credit | None,
        over: Callable[[StreamWriter], None],
        opening: int = 0,
    ) -> None:
        self.link = link
        self.channel_id = channel_id
        self.opening = opening
        """Which opening of a named channel this is; 0: the channel has no other."""
        self.on_stop: Callable[[PeerError], None] | None = None
        """Called once when the far side cancels or the link breaks."""
        self._over = over
        self._lane = link.lane(payload_type)
        self._credit = WritingHalf(credit, is_metered=is_metered(payload_type))
        self._sending = asyncio.Lock()
        self._granted: asyncio.Future[None] | None = None
        self._last_word: CallError | None = None

    @property
    def sent(self) -> int:
        """Items sent."""
        return self._credit.sent

    @property
    def is_stopped(self) -> bool:
        """Whether no item can be sent any more."""
        return self._credit.state not in (State.WAITING, State.OPEN)

    async def send(self, data: bytes, metadata: Mapping[str, str] = EMPTY) -> None:
        """Send one item; wait while the far side can take none.

        Cancelling while it waits sends nothing and costs nothing, and neither does an error.

        Raises:
            BrokenError: If the far side takes no more, or the link broke.
            ClosedError: If this half was ended here, also while the item waited.
            LimitError: If the item is longer than a message may be.
        """
        half = self._credit
        if half.may_send and not self._sending.locked():
            message = encode_item(self.channel_id, half.sent, data, metadata, opening=self.opening)
            if self._lane.offer(message):
                half.spend(len(message))
                return
        async with self._sending:
            await self._wait_for_credit()
            message = encode_item(self.channel_id, half.sent, data, metadata, opening=self.opening)
            await self._lane.send(message, check=self._check)
            half.spend(len(message))

    def _check(self) -> None:
        """An item that waited for room does not go behind the end, nor to another process."""
        if self.is_stopped:
            raise self._refusal()

    async def _wait_for_credit(self) -> None:
        half = self._credit
        while not half.may_send:
            if self.is_stopped:
                raise self._refusal()
            self._granted = asyncio.get_running_loop().create_future()
            await self._granted

    def _refusal(self) -> PeerError:
        error = self._credit.error
        return error or ClosedError(f"stream {self.channel_id} was ended on this side")

    def end(self, error: CallError | None = None) -> None:
        """End this half, well or with an error; harmless when it has ended. Never raises."""
        if self.is_stopped:
            return
        self._last_word = error
        if self._credit.end():
            self._say_end()
        self._wake()

    def grant(self, credit: Credit) -> None:
        """The far side takes so much more."""
        if self._credit.grant(credit):
            self._say_end()
        self._wake()

    def stop(self, error: PeerError) -> None:
        """The far side takes no more, or is gone: senders get ``error``."""
        if not self._credit.fail(error):
            return
        self._wake()
        self._over(self)
        if self.on_stop is not None:
            self.on_stop(error)

    def _say_end(self) -> None:
        end = encode_end(self.channel_id, self.sent, self._last_word, opening=self.opening)
        say(self.link, end)
        self._over(self)

    def _wake(self) -> None:
        if self._granted is not None and not self._granted.done():
            self._granted.set_result(None)


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
    ) -> None:
        self.link = link
        self.remote = link.remote
        self.channel_id = channel_id
        self.opening = opening
        self.has_heard_end = False
        """Whether the far side has ended its half, well or with an error."""
        self._over = over
        self._half = ReadingHalf(is_metered=is_metered(payload_type))
        self._items = self._half.held
        self._holding = Holding(budget or Budget(), self._drop)
        self._arrived: asyncio.Future[None] | None = None

    @property
    def dropped(self) -> int:
        """Latency-first items that a slow consumer lost."""
        return self._half.dropped

    @property
    def held_bytes(self) -> int:
        """Bytes of items that wait to be taken."""
        return self._half.held_bytes

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
        if self._arrived is not None:
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
        half = self._half
        while not self._items:
            if half.state in OVER:
                if half.error is not None:
                    raise half.error
                raise StopAsyncIteration
            self._arrived = asyncio.get_running_loop().create_future()
            try:
                await self._arrived
            finally:
                self._arrived = None
        chunk = half.take()
        if self._holding:
            self._weigh()
        credit = half.due()
        if credit is not None:
            self._say(encode_credit(self.channel_id, credit, opening=self.opening))
        return chunk

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
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _say(self, word: bytes) -> None:
        say(self.link, word)


def busy(channel_id: str) -> BusyError:
    """Two streams cannot have one channel."""
    return BusyError(f"channel {channel_id!r} is open already")
