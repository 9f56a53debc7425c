"""The in-process transport: shell and workload in one process, objects instead of bytes (spec 3.2).

Each direction is a :class:`LocalEnd`. Its reliable lane always is there, its signal lane is made
on first use, stream lanes by channel id and media lanes by track id. The very object that was
sent arrives. There is no wire layer below.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actr_peer.errors import ClosedError
from actr_peer.protocol.envelopes import EMPTY
from actr_peer.protocol.payload import PayloadType
from actr_peer.service import Method

CAPACITY = 1024
"""Objects that wait on one lane; more makes the sender wait."""


@dataclass(slots=True, eq=False)
class LocalCall:
    """One call inside the process; ``future`` gets the reply object or the handler's error."""

    method: Method[Any, Any]
    request: Any
    """The request object itself, or the async iterable of them."""
    future: asyncio.Future[Any]
    metadata: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    timeout: float | None = None
    request_id: str = ""
    call_chain: tuple[str, ...] = ()
    traceparent: str = ""
    tracestate: str = ""
    is_tell: bool = False


class LocalLane:
    """A bounded queue of objects with one receiver."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._room: asyncio.Event = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        return len(self._items)

    async def send(self, item: object) -> None:
        """Put one object; waits while the lane is full."""
        while len(self._items) >= CAPACITY:
            self._room.clear()
            await self._room.wait()
        self._items.append(item)

    def take(self) -> Any:
        """The oldest object.

        Raises:
            IndexError: If the lane is empty.
        """
        item = self._items.popleft()
        self._room.set()
        return item


class LocalEnd:
    """One direction: what is sent here is received, signal first, by one task."""

    def __init__(self) -> None:
        self._reliable = LocalLane()
        self._signal: LocalLane | None = None
        self._arrived = asyncio.Event()
        self._is_closed = False

    async def send(self, call: LocalCall) -> None:
        """Send one call on the lane of its method.

        Raises:
            ClosedError: If this end is closed.
        """
        if self._is_closed:
            raise ClosedError("the actor is closed")
        lane = self._reliable
        if call.method.payload_type is PayloadType.RPC_SIGNAL:
            lane = self._signal = self._signal or LocalLane()
        await lane.send(call)
        self._arrived.set()

    async def receive(self) -> LocalCall:
        """The next call: a signal before any other."""
        while True:
            for lane in (self._signal, self._reliable):
                if lane:
                    call: LocalCall = lane.take()
                    return call
            self._arrived.clear()
            await self._arrived.wait()

    def close(self, error: ClosedError) -> None:
        """Take no more; calls that wait fail with ``error``."""
        self._is_closed = True
        for lane in (self._signal, self._reliable):
            while lane:
                call: LocalCall = lane.take()
                if not call.future.done():
                    call.future.set_exception(error)


class LocalTransport:
    """Both directions of one process; owned by the node."""

    def __init__(self) -> None:
        self.to_workload = LocalEnd()
        self.to_shell = LocalEnd()

    def close(self, error: ClosedError) -> None:
        """Close both directions."""
        self.to_workload.close(error)
        self.to_shell.close(error)
