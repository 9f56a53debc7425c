"""One connection of Hypercorn's that ends when it should, whoever does not read or is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hypercorn.asyncio import tcp_server
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer

from actr_peer.cli.verbs.gateway.bounds import FLUSH_SECONDS, GONE_SECONDS, STALL_SECONDS


class Reader(asyncio.StreamReader):
    """Sees that the far side has left, also while nobody reads: Hypercorn does not, behind a
    request by HTTP/1.1 that has more behind it, and while an application takes no more of one."""

    def __init__(self) -> None:
        super().__init__()
        self.is_closing = False
        """The connection ends by itself."""
        self._end: Callable[[], object] | None = None

    def when_left(self, end: Callable[[], object]) -> None:
        """Have ``end`` called when the far side has left, and the connection stays."""
        self._end = end

    def feed_eof(self) -> None:
        super().feed_eof()
        self._left()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self._left()

    def _left(self) -> None:
        asyncio.get_running_loop().call_later(GONE_SECONDS, self._end_it)

    def _end_it(self) -> None:
        if self._end is not None and not self.is_closing:
            self._end()


class Connection(TCPServer):
    """Hypercorn's own waits, when it closes, for a reader to take all that is unsent."""

    async def _close(self) -> None:
        if isinstance(self.reader, Reader):
            self.reader.is_closing = True
        timer = self.loop.call_later(STALL_SECONDS, self.writer.transport.abort)
        try:
            await super()._close()
        finally:
            timer.cancel()

    async def _initiate_server_close(self) -> None:
        self.loop.call_later(FLUSH_SECONDS, self.writer.transport.abort)
        await super()._initiate_server_close()


class Calls(TaskGroup):
    """Hypercorn's own waits for room in the queue of a request, to say there that it has ended."""

    async def spawn_app(self, *of_request: Any) -> Any:
        """Start the application for a request, and return what hands it the parts."""
        put: Any = await super().spawn_app(*of_request)
        queue: asyncio.Queue[Any] = put.__self__

        async def hand(part: Any) -> None:
            if part["type"].endswith(".disconnect") and queue.full():
                while not queue.empty():
                    queue.get_nowait()
            await put(part)

        return hand


def hold_calls() -> None:
    """Have all connections of this process use it."""
    tcp_server.TaskGroup = Calls  # type: ignore[attr-defined]
