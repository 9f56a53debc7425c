"""Streams of objects inside the process: :mod:`actr_peer.protocol.streams.pipe`, waited for.

The very object that was sent arrives. A slow reader holds up its own writer, and nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Self, TypeVar

from google.protobuf.message import Message

from actr_peer.errors import BrokenError
from actr_peer.protocol.payload import TRAFFIC, Overflow, PayloadType
from actr_peer.protocol.streams.pipe import Pipe
from actr_peer.transport.local.turnstile import Turnstile

Item = TypeVar("Item", bound=Message)


class LocalPipe(Generic[Item]):
    """One half of a stream: one task sends, one task iterates.

    A clean end ends the iteration; an error is raised after the items that came before it.

    Args:
        turnstile: Where its writer waits for its turn, behind its first items and whenever there
            is room again.

    Attributes:
        on_stop: Called once, where the reader takes no more before the writer has ended it.
    """

    __slots__ = ("_arrived", "_core", "_is_metered", "_lifetime", "_room", "_turnstile", "on_stop")

    def __init__(self, payload_type: PayloadType, turnstile: Turnstile) -> None:
        traffic = TRAFFIC[payload_type]
        self._is_metered = traffic.overflow is Overflow.WAIT
        self._lifetime = traffic.lifetime
        self._core: Pipe[Item] = Pipe(is_metered=self._is_metered)
        self._arrived: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._turnstile = turnstile
        self.on_stop: Callable[[], object] | None = None

    def __len__(self) -> int:
        return len(self._core)

    @property
    def dropped(self) -> int:
        """Latency-first items that a slow reader lost, or came for too late."""
        return self._core.dropped + self._core.stale

    @property
    def is_open(self) -> bool:
        """Whether the reader takes more, and the writer has not ended it."""
        return self._core.is_open

    # The writer's

    async def send(self, item: Item) -> None:
        """Hand one item over; wait while the reader can take none.

        A latency-first item never waits for the reader, beyond one turn of the loop in which it
        may take what is here: then the oldest is dropped and counted. Cancelling while it waits
        sends nothing.

        Raises:
            BrokenError: If the reader takes no more.
        """
        core = self._core
        if not core.has_room:
            await self._until_room()
        if not core.is_open:
            raise BrokenError("the reader takes no more of the stream")
        if self._lifetime is None:
            core.put(item, item.ByteSize())
        else:
            core.put(item, item.ByteSize(), asyncio.get_running_loop().time())
        _wake(self._arrived)

    async def _until_room(self) -> None:
        core = self._core
        if not self._is_metered:
            await asyncio.sleep(0)
        elif core.widen():
            turn = asyncio.get_running_loop().create_future()
            self._turnstile.admit(turn)
            await turn
        while self._is_metered and core.is_open and not core.has_room:
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self._room = None

    def end(self, error: Exception | None = None) -> None:
        """No more items come; harmless when it is over."""
        if self._core.end(error):
            _wake(self._arrived)

    # The reader's

    def fail(self, error: Exception) -> None:
        """Take no more, and end the iteration with ``error`` after the items that are here."""
        was_open = self._core.is_open
        if self._core.fail(error):
            self._stop(was_open=was_open)
            _wake(self._arrived)

    def close(self) -> None:
        """Take no more; harmless when it is over."""
        was_open = self._core.is_open
        if self._core.close():
            self._stop(was_open=was_open)

    def _stop(self, *, was_open: bool) -> None:
        _wake(self._room)
        told, self.on_stop = self.on_stop, None
        if was_open and told is not None:
            told()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        core = self._core
        if core and self._lifetime is not None:
            core.drop_older(asyncio.get_running_loop().time() - self._lifetime)
        while not core:
            if not core.is_open:
                if core.error is not None:
                    raise core.error
                raise StopAsyncIteration
            self._arrived = asyncio.get_running_loop().create_future()
            try:
                await self._arrived
            finally:
                self._arrived = None
        item = core.take()
        room = self._room
        if room is not None and core.has_room:
            self._room = None
            self._turnstile.admit(room)
        return item


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
