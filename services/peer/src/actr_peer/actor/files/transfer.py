"""One transfer that comes in: who sends it, its words as they come, and what it holds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

from actr_peer.errors import CallError, Code, PeerError
from actr_peer.protocol.files import bounds, messages
from actr_peer.protocol.files.bounds import Usage
from actr_peer.protocol.files.manifest import FileOffer
from actr_peer.protocol.files.messages import FilesReply, FilesWord
from actr_peer.protocol.files.order import RECEIVING, Event, Order, State
from actr_peer.protocol.identity import ActrId
from actr_peer.state.worker import Worker

Words = AsyncIterator[FilesWord]
FAREWELL_SECONDS = 5.0
P = ParamSpec("P")
T = TypeVar("T")


class Transfer:
    """One that goes on.

    Attributes:
        touched: When something came of it last, by the loop's clock.
    """

    def __init__(self, words: Words, sender: ActrId) -> None:
        self.sender = sender
        self.offer = FileOffer(name="", is_directory=False, entries=0, size_bytes=0)
        self.touched = asyncio.get_running_loop().time()
        self._worker = Worker()
        self.replies: AsyncGenerator[FilesReply, None] | None = None
        """What its sender hears, as it is made."""
        self._words = words
        self._order = Order(RECEIVING)
        self._limit: asyncio.Timeout | None = None
        self._ended: str | None = None
        self._closing: list[Callable[[], None]] = []
        self._has_closed = threading.Event()

    @property
    def asked(self) -> Usage:
        return Usage(self.offer.size_bytes, self.offer.entries + self.offer.is_directory)

    @property
    def is_over(self) -> bool:
        """It was ended from here."""
        return self._ended is not None

    @property
    def is_at_end(self) -> bool:
        """Its sender has said the end."""
        return self._order.state is State.OVER

    def listed(self) -> None:
        """All entries have come."""
        self._order.hear(Event.LISTED)

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Work on the disk, in order.

        Raises:
            CallError: UNAVAILABLE, if it was ended.
        """
        self._check()
        return self._worker.run(function, *args, **kwargs)

    def follow(self, other: Transfer) -> asyncio.Future[bool]:
        """Close another one, and have the files that both use once it has let go of them.

        It is this one's worker that waits, so that this one lets go after it even where its
        sender leaves meanwhile: who follows this one then follows both.
        """
        other.close()
        return self.run(other._has_closed.wait)

    def touch(self) -> None:
        self.touched = asyncio.get_running_loop().time()

    def end(self, why: str) -> None:
        """End it now, where it waits for its sender; what is there may be gone on with."""
        if self._ended is None:
            self._ended = why
            if self._limit is not None:
                self._limit.reschedule(asyncio.get_running_loop().time())

    async def drop(self) -> None:
        """End it where its sender takes no reply; harmless where it does anything else."""
        if self.replies is not None:
            with suppress(RuntimeError):  # it runs, and so it ends in its time
                await self.replies.aclose()

    async def next(self, seconds: float = bounds.IDLE_SECONDS) -> FilesWord:
        """The next word, where it may come.

        Raises:
            CallError: ABORTED, if none came in time or the sender left; UNAVAILABLE, if it was
                ended.
            RemoteProtocolError: If it may not come now.
        """
        self._check()
        try:
            async with asyncio.timeout(seconds) as self._limit:
                word = await anext(self._words)
        except StopAsyncIteration:
            text = "the sender left before the end"
            raise CallError(Code.ABORTED, text, retryable=True) from None
        except TimeoutError as exc:
            self._check()
            raise bounds.idle() from exc
        finally:
            self._limit = None
        self._check()
        self._order.hear(messages.event_of(word))
        self.touch()
        return word

    async def farewell(self) -> None:
        """Wait until the sender has heard that all is done, so that this side may go."""
        with suppress(StopAsyncIteration, TimeoutError, PeerError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await anext(self._words)

    def closing(self, close: Callable[[], None]) -> None:
        """Have this called when it closes, by its worker."""
        self._closing.append(close)

    def close(self) -> asyncio.Future[None]:
        """Give back what it holds, behind what it has begun; what is there waits for its sender."""
        return self._worker.close(self._close)

    def _close(self) -> None:
        try:
            for close in self._closing:
                close()
        finally:
            self._has_closed.set()

    def _check(self) -> None:
        if self._ended is not None:
            raise CallError(Code.UNAVAILABLE, self._ended, retryable=True)
