"""Numbered messages at a steady rate on every lane, with a record of each that was accepted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer import PeerError
from actr_peer.node.node import Node
from actr_peer.transport.streams import StreamWriter
from lab.record import Record, RecordFile

MAX_CALLS = 512
"""Calls that wait for their replies; more wait for a place."""
CALL_SECONDS = 30.0
CHANNELS = {"stream": "items", "latency": "late"}


class Generator:
    """Sends to one peer at a time.

    The rates are of an open loop: what could not be sent in time is sent late, not left out.
    Numbers begin at the clock's milliseconds, so that those of a restarted process are larger.
    """

    def __init__(self, node: Node, records: RecordFile, tell: Callable[..., None]) -> None:
        self.refused: Counter[str] = Counter()
        """Sends and calls that ended with a typed error, by lane."""
        self.given_up = 0
        """Sends and calls that had not ended when :meth:`stop` would wait no more."""
        self._node = node
        self._records = records
        self._tell = tell
        first = int(time.monotonic() * 1000) % (1 << 31)
        self._numbers = {lane: count(first) for lane in ("rpc", "signal", "stream", "latency")}
        self._writers: dict[tuple[str, str], StreamWriter] = {}
        self._senders: set[asyncio.Task[None]] = set()
        self._calls: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(MAX_CALLS)
        self._is_stopping = False

    def start(self, to: str, rates: dict[str, float], size: int) -> None:
        """Begin; ends with :meth:`stop`."""
        self._is_stopping = False
        for lane, rate in rates.items():
            self._keep(self._senders, self._send(lane, to, rate, size))

    async def stop(self, timeout: float) -> None:
        """Send no more; wait so long for what was begun, then give it up."""
        self._is_stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while pending := (*self._senders, *self._calls):
                    await asyncio.wait(pending)
        for task in (*self._senders, *self._calls):
            self.given_up += 1
            task.cancel()

    async def call(self, to: str, *, timeout: float, size: int) -> None:
        """One call on RPC_SIGNAL, recorded as accepted when its reply has come."""
        number, now = next(self._numbers["signal"]), time.monotonic()
        await ChatClient(self._node.ref.to(to)).kick(
            pb.KickRequest(who=str(number), reason=f"{now} {'x' * size}"), timeout=timeout
        )
        self._records.write(Record("signal", number, time.monotonic(), now))

    def _keep(self, tasks: set[asyncio.Task[None]], coro: object) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coro)  # type: ignore[arg-type]
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _send(self, lane: str, to: str, rate: float, size: int) -> None:
        started = time.monotonic()
        for number in count():
            delay = started + number / rate - time.monotonic()
            await asyncio.sleep(max(0.0, delay))
            if self._is_stopping:
                return
            if lane == "signal":
                await self._places.acquire()
                self._keep(self._calls, self._call(to, size))
                continue
            await self._guard(lane, to, size)

    async def _guard(self, lane: str, to: str, size: int) -> None:
        sequence, now = next(self._numbers[lane]), time.monotonic()
        try:
            await self._one(lane, to, sequence, size)
        except PeerError as exc:
            self.refused[lane] += 1
            if (writer := self._writers.pop((to, lane), None)) is not None:
                self._node.ref.close_stream(writer)
            self._tell(event="refused", lane=lane, error=type(exc).__name__, detail=str(exc))
            await asyncio.sleep(0.1)
        else:
            self._records.write(Record(lane, sequence, time.monotonic(), now))

    async def _one(self, lane: str, to: str, number: int, size: int) -> None:
        head = f"{number} {time.monotonic()} "
        whole = max(size, len(head) + 10)
        text = f"{head}{whole} ".ljust(whole, "x")
        if lane == "rpc":
            client = ChatClient(self._node.ref.to(to))
            await client.tell(ChatService.SAY, pb.SayRequest(author="bench", text=text))
            return
        writer = self._writers.get((to, lane))
        if writer is None:
            is_latency = lane == "latency"
            writer = self._node.ref.open_stream(to, CHANNELS[lane], latency_first=is_latency)
            self._writers[to, lane] = writer
        await writer.send(text.encode())

    async def _call(self, to: str, size: int) -> None:
        try:
            await self.call(to, timeout=CALL_SECONDS, size=size)
        except PeerError as exc:
            self.refused["signal"] += 1
            self._tell(event="refused", lane="signal", error=type(exc).__name__, detail=str(exc))
        finally:
            self._places.release()
