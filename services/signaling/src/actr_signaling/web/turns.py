"""Shell: shares one loop between connections, so that none keeps the others from their turn.

Whoever has input is served at once while there is room in this turn of the loop and nobody
waits; else it waits for its share (:mod:`actr_signaling.protocol.shares`) and reads nothing
meanwhile, so that the far side is held up and not this process's memory. What is sent in a turn
is written at its end, once for each connection: a write costs more than most messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

import structlog

from actr_signaling.protocol.shares import Flow, Shares

log = structlog.get_logger()

TURN = 0.008
"""Seconds of one turn of the loop for what arrives: others come after it, at the latest."""
SLICE = 0.001
"""Seconds of one connection before others are asked."""
REFILL = 0.5
"""Share of the time that passes which may be used at once, without waiting for a turn."""


class Worker(Protocol):
    """A connection that has input."""

    share: Flow

    def work(self, until: float) -> bool:
        """Go on until the clock says so, a message at least; return whether more waits."""

    def fail(self) -> None:
        """End it now: a failure of this side's."""


class Receiver(Protocol):
    """Who takes the frames."""

    def arrived(self, size: int) -> bool:
        """Count a frame of any kind; False: it was one too many, and the socket is finished."""

    def received(self, data: bytes | str) -> None:
        """One whole message."""

    def relieved(self) -> None:
        """The far side has read what it lagged behind."""

    def closed(self) -> None:
        """Nothing arrives any more; called once."""


class Turns:
    """Owned by the server; one for all its connections.

    Args:
        clock: Seconds; not the loop's, which stands still during a turn.
    """

    def __init__(self, *, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._shares = Shares()
        self._workers: dict[Flow, Worker] = {}
        self._left = TURN
        """For who is served at once, or in this turn."""
        self._at = clock()
        self._is_armed = False
        self._unwritten: list[Outgoing] = []

    def enter(self, worker: Worker) -> bool:
        """Serve it now, or when its turn has come; True: all its input is taken.

        Whoever hears False stops reading until its :meth:`Worker.work` has taken all.
        """
        now = self._clock()
        self._left = min(TURN, self._left + (now - self._at) * REFILL)
        self._at = now
        if self._left > 0 and not self._shares:
            goes_on = self._work(worker, now + SLICE)
            self._at = self._clock()
            self._left -= self._at - now
            if not goes_on:
                return True
        self._workers[worker.share] = worker
        self._shares.add(worker.share)
        self._arm()
        return False

    def spend(self, seconds: float) -> None:
        """Count work of this turn that is done elsewhere."""
        self._left -= seconds

    def flush_after(self, outgoing: Outgoing) -> None:
        """Have it written at the end of this turn; once for each turn is enough."""
        if not self._unwritten:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unwritten.append(outgoing)

    def _flush(self) -> None:
        unwritten, self._unwritten = self._unwritten, []
        began = self._clock()
        for outgoing in unwritten:
            try:
                outgoing.flush()
            except Exception:
                log.exception("write failed")
                outgoing.cut()
        self.spend(self._clock() - began)

    def _work(self, worker: Worker, until: float) -> bool:
        """A failure ends the one connection: others wait behind it, and must not stand still."""
        try:
            return worker.work(until)
        except Exception:
            log.exception("connection failed")
            worker.fail()
            return False

    def _arm(self) -> None:
        if not self._is_armed:
            self._is_armed = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """A new turn of the loop: serve who waits, each a slice."""
        self._is_armed = False
        self._left = TURN
        now = self._clock()
        while self._shares and self._left > 0:
            flow = self._shares.take()
            worker = self._workers.pop(flow)
            left = self._left
            goes_on = self._work(worker, now + SLICE)
            then = self._clock()
            self._left -= then - now
            if goes_on:
                self._workers[flow] = worker
            self._shares.charge(flow, left - self._left, goes_on=goes_on)
            now = then
        self._at = now
        if self._shares:
            self._arm()


class Outgoing:
    """What is sent to one connection; owned by its socket.

    Args:
        limit: Bytes: with more unsent nothing waits for the end of the turn, so that the
            transport tells at once who is slow.
    """

    __slots__ = ("_limit", "_transport", "_turns", "_unsent", "waiting")

    def __init__(self, turns: Turns, transport: asyncio.Transport, *, limit: int) -> None:
        self._turns = turns
        self._transport = transport
        self._limit = limit
        self.waiting: list[bytes] = []
        """For the end of this turn."""
        self._unsent = 0
        """While something waits, also of the transport, which is given nothing meanwhile."""

    def unsent(self) -> int:
        """Bytes, of those that wait here and in the transport."""
        return self._unsent if self.waiting else self._transport.get_write_buffer_size()

    def add(self, data: bytes, unsent: int | None = None) -> None:
        """Have it written, behind all that was added before.

        Args:
            unsent: What :meth:`unsent` has just said, where it was asked.
        """
        if unsent is None:
            unsent = self.unsent()
        if not self.waiting:
            self._turns.flush_after(self)
        self.waiting.append(data)
        self._unsent = unsent = unsent + len(data)
        if unsent > self._limit:
            self.flush()

    def flush(self) -> None:
        """Write it now; harmless where nothing waits."""
        waiting = self.waiting
        if waiting:
            self.waiting = []
            self._transport.write(waiting[0] if len(waiting) == 1 else b"".join(waiting))

    def cut(self) -> None:
        """End the connection: what was to be written is lost."""
        self.drop()
        self._transport.abort()

    def drop(self) -> None:
        """Nobody is there any more."""
        self.waiting = []
