"""The other peer of the demo: talks to the room through the generated client.

Each payload type is one step, which ends in one row. An error ends its step, not the others:
a killed room shows as an error in the row that met it, within that call's deadline.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from actr.demo.chat_actr import ChatClient
from actr.demo.chat_pb2 import FilePiece, HistoryRequest, KickRequest, MessagesRequest, SayRequest
from actr_peer import ActrId, ActrRef, PayloadType, System, WireKind
from actr_peer.cli.demo import media
from actr_peer.cli.demo.file import Pieces
from actr_peer.cli.demo.process import peer_main
from actr_peer.cli.demo.report import (
    Failed,
    Finished,
    Plan,
    Progress,
    Ready,
    Row,
    RowDone,
    lane_name,
    not_run,
    percentile,
    tell,
)
from actr_peer.cli.demo.visitor import Visitor
from actr_peer.errors import CallError, LimitError, PeerError
from actr_peer.node.config import NodeConfig

CALL_TIMEOUT: Final = 10.0
MIN_BYTES_PER_SECOND: Final = 500_000
"""Slowest transfer that the upload's deadline allows for."""
TEXT_BYTES: Final = 200
INTERVAL_US: Final = 2_000
STEPS_SHOWN: Final = 50
"""Progress lines per payload type."""
SETTLE_LINES: Final = 1_000
SETTLE_INTERVAL_US: Final = 10_000
MIN_ARRIVED: Final = 0.5
"""Part of the latency-first lines that must come in time, on one machine."""

LOST: Final = "not run: the room is gone"


@dataclass(slots=True)
class Tally:
    """What one step counts."""

    messages: int = 0
    bytes: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None
    ok: bool = False
    result: str = ""

    def times(self, seconds: list[float]) -> None:
        """Take the percentiles of round trips or delays."""
        self.p50_ms, self.p99_ms = (
            round(value * 1000, 3) if (value := percentile(seconds, p)) is not None else None
            for p in (50, 99)
        )


class Scenario:
    """All five payload types against one room."""

    def __init__(self, plan: Plan, ref: ActrRef, visitor: Visitor) -> None:
        self._plan = plan
        self._ref = ref
        self._visitor = visitor
        self._room = ActrId.parse(plan.room)
        self._client = ChatClient(ref.to(self._room))
        self._shown: dict[PayloadType, int] = {}
        self._is_lost = False

    async def connect(self) -> None:
        """Have one answer, which dials every kind of wire."""
        await self._client.history(HistoryRequest(limit=1), timeout=CALL_TIMEOUT)

    async def settle(self, preferred: WireKind) -> None:
        """Take lines until they come by the preferred wire, ten seconds at most.

        A wire is preferred once its heartbeats have been good for a while, and they come
        faster under traffic.
        """
        lines = self._client.messages(
            MessagesRequest(test_lines=SETTLE_LINES, interval_us=SETTLE_INTERVAL_US),
            timeout=CALL_TIMEOUT,
        )
        async for _ in lines:
            if media.wire_in_use(self._ref, self._room) == preferred.value:
                break

    async def run(self) -> None:
        """Run the steps in the order of their payload types and tell each row."""
        steps: dict[PayloadType, Callable[[Tally], Awaitable[None]]] = {
            PayloadType.RPC_RELIABLE: self._say,
            PayloadType.RPC_SIGNAL: self._kick,
            PayloadType.STREAM_RELIABLE: self._upload,
            PayloadType.STREAM_LATENCY_FIRST: self._messages,
        }
        for payload_type, step in steps.items():
            tell(RowDone(row=await self._step(payload_type, step)))
        if self._is_lost:
            tell(RowDone(row=not_run(PayloadType.MEDIA_RTP, LOST)))
            return
        try:
            async with self._visitor.while_online():
                await media.send(self._ref, self._room, self._plan)
        except PeerError as exc:
            tell(RowDone(row=_failed(PayloadType.MEDIA_RTP, exc)))

    async def _step(
        self, payload_type: PayloadType, step: Callable[[Tally], Awaitable[None]]
    ) -> Row:
        if self._is_lost:
            return not_run(payload_type, LOST)
        tally = Tally()
        tell(Progress(payload_type=payload_type.name, done=0, total=1))
        try:
            async with self._visitor.while_online():
                await step(tally)
        except PeerError as exc:
            self._is_lost = not isinstance(exc, CallError | LimitError)
            return _failed(payload_type, exc).model_copy(
                update={"messages": tally.messages, "bytes": tally.bytes}
            )
        return Row(
            payload_type=payload_type.name,
            lane=lane_name(payload_type),
            wire=media.wire_in_use(self._ref, self._room),
            messages=tally.messages,
            bytes=tally.bytes,
            p50_ms=tally.p50_ms,
            p99_ms=tally.p99_ms,
            ok=tally.ok,
            result=tally.result,
        )

    async def _say(self, tally: Tally) -> None:
        """Say lines one after the other; then the history has them, in order."""
        times, numbers = [], []
        for index in range(self._plan.calls):
            request = SayRequest(author=guest(index % self._plan.kicks), text=f"line {index}")
            started = time.perf_counter()
            reply = await self._client.say(request, timeout=CALL_TIMEOUT)
            times.append(time.perf_counter() - started)
            numbers.append(reply.number)
            tally.messages += 1
            tally.bytes += request.ByteSize() + reply.ByteSize()
            self._progress(PayloadType.RPC_RELIABLE, index + 1, self._plan.calls)
        history = await self._client.history(
            HistoryRequest(limit=self._plan.calls), timeout=CALL_TIMEOUT
        )
        tally.messages += 1
        tally.bytes += history.ByteSize()
        tally.times(times)
        kept = [line.text for line in history.messages]
        expected = [f"line {index}" for index in range(self._plan.calls)]
        tally.ok = numbers == sorted(set(numbers)) and kept == expected
        tally.result = "answered and kept in order" if tally.ok else "lines lost or out of order"

    async def _kick(self, tally: Tally) -> None:
        """Put every guest out, twice: the second time nobody is there."""
        times, answers = [], []
        total = 2 * self._plan.kicks
        for index in range(total):
            request = KickRequest(who=guest(index % self._plan.kicks), reason="the demo ends")
            started = time.perf_counter()
            reply = await self._client.kick(request, timeout=CALL_TIMEOUT)
            times.append(time.perf_counter() - started)
            answers.append(reply.was_present)
            tally.messages += 1
            tally.bytes += request.ByteSize() + reply.ByteSize()
            self._progress(PayloadType.RPC_SIGNAL, index + 1, total)
        tally.times(times)
        tally.ok = answers == [True] * self._plan.kicks + [False] * self._plan.kicks
        tally.result = "each guest put out once" if tally.ok else "wrong answers"

    async def _upload(self, tally: Tally) -> None:
        """Send the file; the room's SHA-256 is that of what was read."""
        pieces = Pieces(self._plan.file, total_bytes=self._plan.file_bytes)

        async def stream() -> AsyncIterator[FilePiece]:
            for piece in pieces:
                yield piece
                tally.messages += 1
                tally.bytes = pieces.sent_bytes
                self._progress(PayloadType.STREAM_RELIABLE, pieces.sent_bytes, pieces.total_bytes)

        timeout = CALL_TIMEOUT + pieces.total_bytes / MIN_BYTES_PER_SECOND
        started = time.perf_counter()
        reply = await self._client.upload(stream(), timeout=timeout)
        seconds = time.perf_counter() - started
        tally.p50_ms, tally.p99_ms = round(reply.p50_ms, 3), round(reply.p99_ms, 3)
        tally.ok = (reply.size_bytes, reply.sha256) == (pieces.sent_bytes, pieces.sha256)
        speed = reply.size_bytes / seconds / 1e6
        tally.result = (
            f"SHA-256 equal ({pieces.sha256[:8]}…), {speed:.1f} MB/s"
            if tally.ok
            else f"SHA-256 differs: sent {pieces.sha256}, came {reply.sha256}"
        )

    async def _messages(self, tally: Tally) -> None:
        """Take test lines as they come; late ones may be dropped, none comes twice."""
        request = MessagesRequest(
            test_lines=self._plan.lines, text_bytes=TEXT_BYTES, interval_us=INTERVAL_US
        )
        delays, numbers = [], []
        async for line in self._client.messages(
            request, timeout=CALL_TIMEOUT + self._plan.lines * INTERVAL_US / 1e6
        ):
            delays.append((time.monotonic_ns() - line.sent_at_ns) / 1e9)
            numbers.append(line.number)
            tally.messages += 1
            tally.bytes += line.ByteSize()
            self._progress(PayloadType.STREAM_LATENCY_FIRST, line.number, self._plan.lines)
        tally.times(delays)
        is_single = len(set(numbers)) == len(numbers)
        tally.ok = is_single and len(numbers) >= self._plan.lines * MIN_ARRIVED
        dropped = self._plan.lines - len(set(numbers))
        tally.result = f"{len(numbers)} of {self._plan.lines} lines, {dropped} late ones dropped"
        if not is_single:
            tally.result += ", some came twice"

    def _progress(self, payload_type: PayloadType, done: int, total: int) -> None:
        """Tell about fifty times per step, however long it is."""
        step = max(1, total // STEPS_SHOWN)
        last = self._shown.get(payload_type, 0)
        if done - last >= step or done == total:
            self._shown[payload_type] = done
            tell(Progress(payload_type=payload_type.name, done=done, total=total))


def _failed(payload_type: PayloadType, error: PeerError) -> Row:
    """The row of a step that ended by ``error``, which is also told by itself."""
    tell(Failed(error=type(error).__name__, text=str(error)))
    return not_run(payload_type, f"{type(error).__name__}: {error}")


def guest(index: int) -> str:
    """Name of a guest."""
    return f"guest-{index}"


async def call(plan: Plan, config: NodeConfig) -> None:
    """Run the scenario of ``plan``."""
    visitor = Visitor(ActrId.parse(plan.room), config.prefer)
    async with System(config).attach(visitor) as node:
        tell(Ready(id=str(node.id)))
        await visitor.find_room(node.ref)
        scenario = Scenario(plan, node.ref, visitor)
        await scenario.connect()
        await visitor.wires()
        await scenario.settle(config.prefer[0])
        await scenario.run()
    tell(Finished())


if __name__ == "__main__":
    the_plan = Plan.model_validate_json(sys.argv[1])
    peer_main(lambda config: call(the_plan, config))
