"""The lanes of a :class:`~actr_peer.transport.local.loop.LoopLink`: bytes to the own process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from actr_peer.errors import ClosedError, LimitError, PeerError
from actr_peer.protocol.payload import MAX_MESSAGE_BYTES, RPC_LANES, PayloadType
from actr_peer.protocol.streams.fair_queue import Quantum
from actr_peer.transport.link_view import LaneView

WINDOW_MESSAGES = 1024
WINDOW_BYTES = 4 * 1024 * 1024
"""What may be on a lane and not be stored, or not have arrived: more waits. One message alone may
be longer."""
MAX_POSTED_BYTES = 64 * 1024 * 1024
"""What may be posted beside the window: replies, and word about streams."""


class Owner(Protocol):
    """What a lane needs of its link."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    def refusal(self) -> PeerError | None:
        """Why nothing can be sent any more; None while it can."""

    def kick(self) -> None:
        """Deliver what there is, in the next turn of the loop."""

    def answer(self, payload_type: PayloadType, message: bytes) -> None:
        """Take a reply."""


class LoopLane:
    """One payload type's messages to the own process; made by its link.

    Attributes:
        dropped: Latency-first messages that found no room, and took that of the oldest.
    """

    def __init__(self, link: Owner, payload_type: PayloadType) -> None:
        self.payload_type = payload_type
        self.dropped = 0
        self._link = link
        self._is_stored = payload_type in RPC_LANES
        self._waits = payload_type is not PayloadType.STREAM_LATENCY_FIRST
        self._queue: deque[tuple[bytes, int]] = deque()
        self._queued_bytes = 0
        self._unsettled: dict[int, int] = {}
        """Bytes of what has not been stored, or has not arrived, by number."""
        self._unsettled_bytes = 0
        self._last = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        """Who waits for room, oldest first."""
        self._storing: dict[int, asyncio.Future[None]] = {}

    def __bool__(self) -> bool:
        """Whether a message is on its way."""
        return bool(self._queue)

    def view(self) -> LaneView:
        """How things stand."""
        return LaneView(
            sent=self._last,
            received=self._last - len(self._queue) - self.dropped,
            resent=0,
            duplicates=0,
            dropped=self.dropped,
            queued=len(self._queue),
            sending_bytes=self._unsettled_bytes,
            receiving_bytes=0,
        )

    @property
    def is_settled(self) -> bool:
        """Whether all that was taken has arrived, and is stored if it must be."""
        return not self._unsettled and not self._queue

    async def send(
        self,
        message: bytes,
        *,
        quantum: Quantum | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        """Take ``message``; wait while there is no room, and for a request until it is stored.

        Args:
            message: Whole.
            quantum: Of its writer, who sends several in one turn where it has waited.
            check: Called where the message has waited, before it goes: what it raises is raised
                here, and nothing was sent.

        Raises:
            LimitError: If the message is longer than any may be; nothing was sent.
            ClosedError: If this side closed it.
        """
        self._check(message)
        if not self._may_go(message, quantum):
            await self._until_room(message, check)
            if quantum is not None:
                quantum.renew()
                quantum.spend(len(message))
        number = self._put(message)
        if self._is_stored:
            stored = self._storing[number] = self._link.loop.create_future()
            try:
                await stored
            finally:
                self._storing.pop(number, None)

    def offer(self, message: bytes, quantum: Quantum | None = None) -> bool:
        """Take ``message`` if there is room now; else do nothing.

        Raises:
            LimitError, ClosedError: As :meth:`send`.
        """
        self._check(message)
        if not self._may_go(message, quantum):
            return False
        self._put(message)
        return True

    def post(self, message: bytes) -> None:
        """Take ``message`` at once: word about streams, and durable calls, which have bounds of
        their own.

        Raises:
            LimitError: If it is too long, or too much was posted and not taken.
            ClosedError: As :meth:`send`.
        """
        self._check(message)
        self._put(message)

    def answer(self, message: bytes) -> None:
        """Take a reply, or word that a caller has left, ahead of all requests.

        Raises:
            LimitError, ClosedError: As :meth:`post`.
        """
        self._check(message)
        self._link.answer(self.payload_type, message)

    def cancel(self, message: bytes) -> None:
        """Take word that a caller has left; behind its request, which it may not overtake.

        Raises:
            LimitError, ClosedError: As :meth:`post`.
        """
        self.post(message)

    def take(self) -> tuple[bytes, int]:
        """For the link: the oldest message, and its number.

        Raises:
            IndexError: If there is none.
        """
        message, number = self._queue.popleft()
        self._queued_bytes -= len(message)
        if not self._is_stored:
            self.settle(number)
        return message, number

    def settle(self, number: int) -> None:
        """A message has been stored, or has arrived; twice is harmless."""
        size = self._unsettled.pop(number, None)
        if size is None:
            return
        self._unsettled_bytes -= size
        stored = self._storing.get(number)
        if stored is not None and not stored.done():
            stored.set_result(None)
        if self._has_room:
            self._wake()

    def fail(self, error: PeerError) -> None:
        """Nothing is sent any more: so tell all who wait."""
        self._queue.clear()
        self._unsettled.clear()
        for future in (*self._waiting, *self._storing.values()):
            if not future.done():
                future.set_exception(ClosedError(str(error)))

    @property
    def _has_room(self) -> bool:
        return not self._waits or (
            len(self._unsettled) < WINDOW_MESSAGES and self._unsettled_bytes < WINDOW_BYTES
        )

    def _may_go(self, message: bytes, quantum: Quantum | None) -> bool:
        if not self._has_room:
            return False
        if self._waiting:
            if quantum is None or quantum.left <= 0:
                return False
            quantum.spend(len(message))
        return True

    def _check(self, message: bytes) -> None:
        refusal = self._link.refusal()
        if refusal is not None:
            raise refusal
        if len(message) > MAX_MESSAGE_BYTES:
            raise LimitError("bytes of a message", limit=MAX_MESSAGE_BYTES, asked=len(message))
        if self._queued_bytes > MAX_POSTED_BYTES:
            raise LimitError(
                "bytes posted and not taken", limit=MAX_POSTED_BYTES, asked=self._queued_bytes
            )

    async def _until_room(self, message: bytes, check: Callable[[], None] | None) -> None:
        place = self._link.loop.create_future()
        self._waiting.append(place)
        try:
            await place
        finally:
            self._waiting.remove(place)
            if self._has_room:
                self._wake()
        self._check(message)
        if check is not None:
            check()

    def _wake(self) -> None:
        for place in self._waiting:
            if not place.done():
                place.set_result(None)
                return

    def _put(self, message: bytes) -> int:
        if not self._waits and len(self._queue) >= WINDOW_MESSAGES:
            self.take()
            self.dropped += 1
        self._last += 1
        self._queue.append((message, self._last))
        self._queued_bytes += len(message)
        self._unsettled[self._last] = len(message)
        self._unsettled_bytes += len(message)
        self._link.kick()
        return self._last
