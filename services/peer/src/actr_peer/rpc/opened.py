"""A stream that this side opens: its halves, its opening, and word when it is given up.

The opening travels on ``RPC_RELIABLE``. Its ``CANCEL`` goes behind it too, so that it is not lost
where it overtakes it: a stream that is left before the far side has ended it never runs there, or
runs no longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from actr_peer.errors import CallError, Code, PeerError
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.envelopes import encode_cancel
from actr_peer.protocol.streams.chunks import NO_CREDIT, Credit
from actr_peer.protocol.streams.halves import FIRST
from actr_peer.service import Method
from actr_peer.transport.channels import Streams
from actr_peer.transport.link import Link
from actr_peer.transport.stream_reader import StreamReader
from actr_peer.transport.streams import StreamWriter


class Opened:
    """A block in which the stream is open; leaving it leaves nothing behind.

    Args:
        timeout: Seconds for the opening and, where replies stream, for all of the stream; None:
            no limit.
        encode: Makes the opening of a channel whose replies this side takes so many of.
        late: Makes the error of what did not come about in time.

    Raises:
        DeadlineError, UnreachableError, BrokenError: On entering, if the far side did not take the
            opening in time: by what is known of it.
    """

    def __init__(
        self,
        link: Link,
        streams: Streams,
        method: Method[Any, Any],
        *,
        channel_id: str,
        timeout: float | None,
        encode: Callable[[Credit], bytes],
        late: Callable[[str, float | None], PeerError],
    ) -> None:
        self.is_answered = False
        """The one reply has come."""
        self.link = link
        self._streams = streams
        self._method = method
        self._channel_id = channel_id
        self._timeout = timeout
        self._encode = encode
        self._late = late
        self._timer: asyncio.TimerHandle | None = None
        self._reader: StreamReader | None = None
        self._writer: StreamWriter | None = None
        self._is_sent = False

    @property
    def reader(self) -> StreamReader:
        assert self._reader is not None, "its replies do not stream"
        return self._reader

    @property
    def writer(self) -> StreamWriter:
        assert self._writer is not None, "its requests do not stream"
        return self._writer

    async def __aenter__(self) -> Self:
        try:
            self._make_halves()
            await self._open()
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    def fail(self, exc: BaseException) -> None:
        """What feeds the stream has failed: whoever reads it hears of that."""
        self.reader.fail(as_error(exc))

    def _make_halves(self) -> None:
        kind, route_key, streams = self._method.kind, self._method.route_key, self._streams
        half = self.link, self._channel_id, self._method.payload_type
        if kind.replies_stream:
            self._reader = streams.open_reader(*half, route_key=route_key)
            self._reader.listen()
            if self._timeout is not None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(self._timeout, self._expire)
        if kind.requests_stream:
            # Nothing is sent before the far side says that it listens: not even the end.
            self._writer = streams.open_writer(*half, credit=None, route_key=route_key)

    async def _open(self) -> None:
        opening = self._encode(FIRST if self._reader is not None else NO_CREDIT)
        lane = self.link.lane(PayloadType.RPC_RELIABLE)
        try:
            async with asyncio.timeout(self._timeout):
                await lane.send(opening)
        except TimeoutError as exc:
            raise self._late(f"no room for {self._method.route_key} at", self._timeout) from exc
        self._is_sent = True

    def _expire(self) -> None:
        """Time is up: whoever reads the replies hears why they did not end."""
        self.reader.fail(self._late(f"no end of {self._method.route_key} of", self._timeout))

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        is_over = self.is_answered
        if self._reader is not None:
            is_over = self._reader.has_heard_end
            self._streams.forget_reader(self._reader)
        if self._writer is not None:
            self._streams.forget_writer(self._writer)
        if self._is_sent and not is_over:
            with suppress(PeerError):  # with a link that is gone, nobody is there to hear it
                self.link.lane(PayloadType.RPC_RELIABLE).cancel(encode_cancel(self._channel_id))


def as_error(exc: BaseException) -> Exception:
    """``exc`` as one that a caller may be given: a request stream can end with a cancellation."""
    if isinstance(exc, Exception):
        return exc
    return CallError(Code.ABORTED, f"the request stream ended with {type(exc).__name__}")
