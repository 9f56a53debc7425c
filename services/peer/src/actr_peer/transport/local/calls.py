"""Calls inside the process: shell and workload, objects instead of bytes.

Each direction is a :class:`LocalEnd` with a lane for each of the two request types. The very object
that was sent arrives, and a stream's items one by one through a
:class:`~actr_peer.transport.local.pipes.LocalPipe`. There is no wire layer below. Calls that the
mailbox keeps, and named channels, go to the own id as they do to any other, by
:class:`~actr_peer.transport.local.loop.LoopLink`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actr_peer.errors import ClosedError, DeadlineError
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.envelopes import EMPTY
from actr_peer.service import Method
from actr_peer.transport.local.pipes import LocalPipe
from actr_peer.transport.local.turnstile import Turnstile

CAPACITY = 1024
"""Calls on one lane that wait or run; more makes the sender wait."""


@dataclass(slots=True, eq=False)
class LocalCall:
    """One call inside the process; ``future`` gets the reply object or the handler's error.

    It is done when nobody waits any more: cancelled where the caller has left. Of a call whose
    replies stream it has no error: ``replies`` has it.
    """

    method: Method[Any, Any]
    request: Any
    """The request object itself, or the pipe that they come by."""
    future: asyncio.Future[Any]
    replies: LocalPipe[Any] | None = None
    """Where the replies stream."""
    metadata: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    deadline: float | None = None
    """When its caller gives up, by the loop's clock; None: never."""
    request_id: str = ""
    call_chain: tuple[str, ...] = ()
    traceparent: str = ""
    tracestate: str = ""
    is_tell: bool = False

    def succeed(self, reply: object) -> None:
        """The handler has given ``reply``; harmless when nobody waits."""
        if not self.future.done():
            self.future.set_result(reply)

    def expire(self, timeout: float) -> None:
        """Its caller has waited ``timeout`` seconds; harmless when nobody waits."""
        text = f"no reply to {self.method.route_key} in {timeout:g} s"
        if not self.future.done():
            self.future.set_exception(DeadlineError(text))

    @property
    def is_open(self) -> bool:
        """Whether its caller waits, and has not heard of an end."""
        return not self.future.done() and (self.replies is None or self.replies.is_open)

    @property
    def is_given_up(self) -> bool:
        """Whether its caller has left, or has waited long enough: nobody needs the handler."""
        future = self.future
        return future.cancelled() or (
            future.done() and isinstance(future.exception(), DeadlineError)
        )

    def fail(self, error: Exception) -> None:
        """The call ends with ``error``; harmless when nobody waits."""
        if self.replies is not None:
            self.replies.end(error)
            self.succeed(None)
        elif not self.future.done():
            self.future.set_exception(error)


class LocalLane:
    """A lane inside the process: calls that were sent and have not ended, oldest first, at most
    :data:`CAPACITY`.

    A call that nobody waits for any more keeps its place until its turn: a queue of those would
    have no bound otherwise.
    """

    def __init__(self, payload_type: PayloadType, arrived: asyncio.Event) -> None:
        self.payload_type = payload_type
        self._arrived = arrived
        self._queue: deque[LocalCall] = deque()
        self._open: set[LocalCall] = set()
        self._places = asyncio.Semaphore(CAPACITY)
        self._error: ClosedError | None = None

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def is_busy(self) -> bool:
        """Whether a call waits here, or runs."""
        return bool(self._open)

    @property
    def is_full(self) -> bool:
        """Whether who sends now waits for a place."""
        return self._places.locked()

    async def send(self, call: LocalCall) -> None:
        """Put one call; waits while there is no place, in order.

        Raises:
            ClosedError: If the lane is closed, before or meanwhile.
        """
        await self._places.acquire()
        if self._error is not None:
            self._places.release()  # the next who waits hears it too
            raise ClosedError(*self._error.args)
        self._queue.append(call)
        self._open.add(call)
        self._arrived.set()

    def take(self) -> LocalCall:
        """The oldest call; tell :meth:`ended` when it has run.

        Raises:
            IndexError: If the lane is empty.
        """
        return self._queue.popleft()

    def ended(self, call: LocalCall) -> None:
        """A call has run, or will not: its place is free. Twice is harmless."""
        if call in self._open:
            self._open.remove(call)
            self._places.release()

    def close(self, error: ClosedError) -> None:
        """Take no more; calls that wait or run fail with ``error``."""
        self._error = error
        self._queue.clear()
        for call in tuple(self._open):
            call.fail(error)
            self.ended(call)


class LocalEnd:
    """One direction: what is sent here is received, signal first, by one task."""

    def __init__(self) -> None:
        self._arrived = asyncio.Event()
        self._signal = LocalLane(PayloadType.RPC_SIGNAL, self._arrived)
        self._reliable = LocalLane(PayloadType.RPC_RELIABLE, self._arrived)
        self.turnstile = Turnstile()
        """Of the writers of all streams that are opened in this direction."""
        self.running: str | None = None
        """The request that its receiver runs, where it runs one at a time."""

    def lane(self, payload_type: PayloadType) -> LocalLane:
        """The lane for this payload type. There are two: a call that streams is opened on the lane
        of requests, and its items have a pipe of their own."""
        return self._signal if payload_type is PayloadType.RPC_SIGNAL else self._reliable

    async def receive(self) -> LocalCall:
        """The next call: a signal before any other. Tell :meth:`ended` when it has run."""
        while True:
            for lane in (self._signal, self._reliable):
                if lane:
                    return lane.take()
            self._arrived.clear()
            await self._arrived.wait()

    @property
    def is_busy(self) -> bool:
        """Whether a call waits here, or runs."""
        return self._signal.is_busy or self._reliable.is_busy

    def ended(self, call: LocalCall) -> None:
        """A call has run, or will not. Twice is harmless."""
        self.lane(call.method.payload_type).ended(call)

    def close(self, error: ClosedError) -> None:
        """Take no more; calls that wait or run fail with ``error``."""
        self._signal.close(error)
        self._reliable.close(error)


class LocalTransport:
    """Both directions of one process; owned by the node."""

    def __init__(self) -> None:
        self.to_workload = LocalEnd()
        self.to_shell = LocalEnd()

    def close(self, error: ClosedError) -> None:
        """Close both directions."""
        self.to_workload.close(error)
        self.to_shell.close(error)
