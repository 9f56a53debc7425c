"""Two nodes' streams, joined by links whose lanes are queues: delivered by hand, or at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from actr_peer.actor.subscribers.streams import StreamSubscribers
from actr_peer.errors import BrokenError, LimitError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.envelopes import Envelope, decode_envelope
from actr_peer.protocol.streams.chunks import Credit, decode_chunk
from actr_peer.protocol.streams.fair_queue import Quantum
from actr_peer.protocol.streams.halves import FIRST
from actr_peer.tasks import Start
from actr_peer.transport.channels import Streams
from actr_peer.transport.stream_reader import StreamReader
from actr_peer.transport.streams import StreamWriter

HERE = ActrId("acme", "caller", "1")
THERE = ActrId("acme", "room", "1")
RELIABLE = PayloadType.STREAM_RELIABLE
LATENCY_FIRST = PayloadType.STREAM_LATENCY_FIRST


class FakeLink:
    """A link that keeps what is sent, until :meth:`deliver`."""

    def __init__(self, remote: ActrId, *, is_prompt: bool = True) -> None:
        self.remote = remote
        self.far: tuple[FakeLink, Streams] | None = None
        self.queue: deque[tuple[PayloadType, bytes]] = deque()
        self.envelopes: list[Envelope] = []
        """What went over RPC lanes."""
        self.is_prompt = is_prompt
        """Delivers on the next turn of the loop by itself."""
        self.is_shut = False
        self.has_room = True
        self.max_message_bytes = 16 * 1024 * 1024
        self.room = asyncio.Event()
        self.room.set()

    def lane(self, payload_type: PayloadType) -> FakeLane:
        return FakeLane(self, payload_type)

    def refusal(self) -> PeerError | None:
        return BrokenError("gone") if self.is_shut else None

    def take(self, payload_type: PayloadType, message: bytes) -> None:
        if self.is_shut:
            raise BrokenError("gone")
        if len(message) > self.max_message_bytes:
            raise LimitError("bytes of a message", limit=self.max_message_bytes, asked=len(message))
        if payload_type in (PayloadType.RPC_RELIABLE, PayloadType.RPC_SIGNAL):
            self.envelopes.append(decode_envelope(message))
            return
        self.queue.append((payload_type, message))
        if self.is_prompt:
            asyncio.get_running_loop().call_soon(self.deliver)

    def deliver(self) -> None:
        """Hand the oldest message to the far side."""
        if self.queue and self.far is not None:
            payload_type, message = self.queue.popleft()
            link, streams = self.far
            streams.receive(link, payload_type, decode_chunk(message))  # type: ignore[arg-type]


class FakeLane:
    def __init__(self, link: FakeLink, payload_type: PayloadType) -> None:
        self.link = link
        self.payload_type = payload_type

    async def send(
        self,
        message: bytes,
        *,
        quantum: Quantum | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        if not self.offer(message, quantum):
            await self.link.room.wait()
            if check is not None:
                check()
            self.link.take(self.payload_type, message)

    def offer(self, message: bytes, quantum: Quantum | None = None) -> bool:
        if len(message) <= self.link.max_message_bytes and not self.link.room.is_set():
            return False
        self.link.take(self.payload_type, message)
        return True

    def post(self, message: bytes) -> None:
        self.link.take(self.payload_type, message)

    answer = post


class Pair:
    """Ada's streams and Bob's."""

    def __init__(self, *, is_prompt: bool = True) -> None:
        self.near, self.far = Streams(), Streams(unknown=self._unknown)
        self.subscribers: StreamSubscribers | None = None
        self.join(is_prompt=is_prompt)

    def join(self, *, is_prompt: bool = True) -> None:
        """Make new links, as after a loss."""
        self.near_link = FakeLink(THERE, is_prompt=is_prompt)
        self.far_link = FakeLink(HERE, is_prompt=is_prompt)
        self.near_link.far = (self.far_link, self.far)
        self.far_link.far = (self.near_link, self.near)

    def cut(self) -> None:
        """Lose the links, with all that is under way."""
        for link, streams in ((self.near_link, self.near), (self.far_link, self.far)):
            link.is_shut = True
            link.queue.clear()
            streams.fail_link(link, BrokenError("the link is gone"))  # type: ignore[arg-type]

    def restart_near(self) -> None:
        """Another process here; the link of the far side lives on, reset."""
        self.near_link.is_shut = True
        self.near = Streams()
        self.near_link = FakeLink(THERE, is_prompt=self.far_link.is_prompt)
        self.near_link.far = (self.far_link, self.far)
        self.far_link.far = (self.near_link, self.near)
        _reset(self.far_link, self.far)

    def restart_far(self) -> None:
        """Another process there; the link of this side lives on, reset."""
        self.far_link.is_shut = True
        self.far = Streams(unknown=self._unknown)
        self.far_link = FakeLink(HERE, is_prompt=self.near_link.is_prompt)
        self.far_link.far = (self.near_link, self.near)
        self.near_link.far = (self.far_link, self.far)
        _reset(self.near_link, self.near)

    def subscribe(self, start: Start) -> StreamSubscribers:
        """Callbacks for Bob's channels, whose workers ``start`` starts."""
        self.subscribers = StreamSubscribers(self.far, start)
        return self.subscribers

    def _unknown(self, *first: Any) -> StreamReader | None:
        return self.subscribers.open(*first) if self.subscribers is not None else None

    def channel(
        self, payload_type: PayloadType = RELIABLE, credit: Credit | None = FIRST
    ) -> tuple[StreamWriter, StreamReader]:
        """A writer here and its reader there, which listens if it has granted anything."""
        writer = self.near.open_writer(self.near_link, "c", payload_type, credit=credit)  # type: ignore[arg-type]
        reader = self.far.open_reader(self.far_link, "c", payload_type)  # type: ignore[arg-type]
        if credit is not None:
            reader.listen()
        return writer, reader

    def named(self, payload_type: PayloadType = RELIABLE, name: str = "c") -> StreamWriter:
        return self.near.open_named(self.near_link, name, payload_type)  # type: ignore[arg-type]


def _reset(link: FakeLink, streams: Streams) -> None:
    """As a session does it: what was under way on stream lanes is dropped, then it is told."""
    link.queue.clear()
    streams.fail_link(link, BrokenError("restarted"))  # type: ignore[arg-type]
    link.room.set()


class Block:
    """A task block, as much of it as starts tasks."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.failures: list[BaseException] = []

    def start(
        self,
        name: str,
        coro: Coroutine[Any, Any, None],
        *,
        context: Context | None = None,
        failed: Callable[[BaseException], None] | None = None,
    ) -> asyncio.Task[None]:
        async def run() -> None:
            try:
                await coro
            except Exception as exc:  # noqa: BLE001
                self.failures.append(exc)
                assert failed is not None, f"{name} is not contained"
                failed(exc)

        task = asyncio.create_task(run(), name=name, context=context)
        task.add_done_callback(lambda _: coro.close())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


async def turns(count: int = 10) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)
