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
from typing import Final

from actr_peer.errors import (
    BusyError,
    CallError,
    ClosedError,
    PeerError,
)
from actr_peer.protocol.payload import TRAFFIC, Overflow, PayloadType
from actr_peer.protocol.rpc.envelopes import EMPTY
from actr_peer.protocol.streams.age import MICROSECONDS
from actr_peer.protocol.streams.chunks import (
    Credit,
    Kind,
    encode_end,
    encode_item,
)
from actr_peer.protocol.streams.fair_queue import Quantum
from actr_peer.protocol.streams.halves import WritingHalf
from actr_peer.protocol.streams.states import State
from actr_peer.transport.link import Link

log = logging.getLogger(__name__)

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
        stalled: Told that an item waits for the far side to take those before it.
    """

    def __init__(
        self,
        link: Link,
        channel_id: str,
        payload_type: PayloadType,
        *,
        credit: Credit | None,
        over: Callable[[StreamWriter], None],
        stalled: Callable[[], None] = lambda: None,
        opening: int = 0,
        route_key: str = "",
    ) -> None:
        self.link = link
        self.remote = link.remote
        self.channel_id = channel_id
        self.payload_type = payload_type
        self.route_key = route_key
        self.opening = opening
        """Which opening of a named channel this is; 0: the channel has no other."""
        self.on_stop: Callable[[PeerError], None] | None = None
        """Called once when the far side cancels or the link breaks."""
        self._over, self._stalled = over, stalled
        self._lane = link.lane(payload_type)
        self._is_timed = not is_metered(payload_type)
        self._credit = WritingHalf(credit, is_metered=not self._is_timed)
        self._quantum = Quantum()
        self._sending = asyncio.Lock()
        self._senders = 0
        """Who waits for the lock, or has it: between two of them it is free, and nobody's."""
        self._granted: asyncio.Future[None] | None = None
        self._last_word: CallError | None = None

    @property
    def sent(self) -> int:
        """Items sent."""
        return self._credit.sent

    items = sent
    is_outbound: Final = True

    @property
    def taken(self) -> int:
        """Items that the reader has taken for certain; it says so for some at a time, so that it
        may have taken a quarter of its window more. 0 of a latency-first stream."""
        return 0 if self._is_timed else self._credit.taken

    @property
    def is_stopped(self) -> bool:
        """Whether no item can be sent any more."""
        return self._credit.state not in (State.WAITING, State.OPEN)

    async def opened(self) -> None:
        """Wait until the far side takes something.

        Raises:
            BrokenError, ClosedError: As :meth:`send`.
        """
        async with self._sending:
            await self._wait_for_credit()

    async def send(self, data: bytes, metadata: Mapping[str, str] = EMPTY) -> None:
        """Send one item; wait while the far side can take none.

        Cancelling while it waits sends nothing and costs nothing, and neither does an error.

        Raises:
            BrokenError: If the far side takes no more, or the link broke.
            ClosedError: If this half was ended here, also while the item waited.
            LimitError: If the item is longer than a message may be.
            LocalProtocolError: If the data are no bytes, or the metadata no texts.
        """
        half = self._credit
        message, number = b"", -1
        if half.may_send and not self._senders:
            message, number = self._encode(data, metadata), half.sent
            if self._lane.offer(message, self._quantum):
                half.spend(len(message))
                return
        self._senders += 1
        try:
            async with self._sending:
                await self._wait_for_credit()
                if number != half.sent:  # else it is written already
                    message = self._encode(data, metadata)
                await self._lane.send(message, quantum=self._quantum, check=self._check)
                half.spend(len(message))
        finally:
            self._senders -= 1

    def _encode(self, data: bytes, metadata: Mapping[str, str]) -> bytes:
        sent_at = 0
        if self._is_timed:
            sent_at = int(asyncio.get_running_loop().time() * MICROSECONDS)
        return encode_item(
            self.channel_id,
            self._credit.sent,
            data,
            metadata,
            opening=self.opening,
            sent_at=sent_at,
        )

    def _check(self) -> None:
        """An item that waited for room does not go behind the end, nor to another process."""
        if self.is_stopped:
            raise self._refusal()

    async def _wait_for_credit(self) -> None:
        half = self._credit
        if half.sent and not half.may_send and not self.is_stopped:
            self._stalled()
        while not half.may_send:
            if self.is_stopped:
                raise self._refusal()
            self._granted = asyncio.get_running_loop().create_future()
            await self._granted

    def _refusal(self) -> PeerError:
        error = self._credit.error
        return error or ClosedError(f"stream {self.channel_id} was ended on this side")

    async def finish(self) -> None:
        """End this half well, behind the items of all who are sending; harmless when it has ended.

        Returning means handed over: the end goes to the far side as surely as the items.

        Raises:
            BrokenError: If the far side takes no more, or the link broke: it has not all items.
        """
        async with self._sending:
            if self._credit.error is not None:
                raise self._refusal()
            self.end()

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


def busy(channel_id: str) -> BusyError:
    """Two streams cannot have one channel."""
    return BusyError(
        f"channel {channel_id!r} is open already: send with what opened it, or end that first"
    )
