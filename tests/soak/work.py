"""What a soaking peer does all the time: every sort of call to its neighbours, each noted."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer import ActrId, ActrRef, CallError, PeerError
from actr_peer.protocol.streams.chunks import Chunk
from actr_peer.transport.streams import StreamWriter
from actr_peer.wire.media.sources import TestPattern
from tests.soak.notes import Notes, read

CALL_SECONDS = 20.0
HUNG_SECONDS = 60.0
"""What has not ended by then never will: well past its deadline, and a freeze of the process."""
STREAM_SECONDS = 40.0
MAX_OPEN = 64
"""Calls of one kind to one target that wait; more wait for a place."""
PAUSES = {"call": 0.5, "tell": 0.5, "durable": 1.0, "items": 0.2, "late": 0.1, "streams": 4.0}
"""Seconds between two of each, for each target."""
ITEMS = 20
RECENT = 256
PIECE = bytes(4096)


def actor_id(name: str) -> str:
    """The text form of a soaking peer's id."""
    return f"soak:{name}@1:default"


class Work:
    """The traffic of one process towards its targets; ends with :meth:`stop`."""

    def __init__(self, ref: ActrRef, name: str, folder: Path) -> None:
        self.open = 0
        """Calls that have not ended."""
        self._ref = ref
        self._name = name
        self._path = folder / f"{name}.notes"
        self._notes = Notes(self._path)
        self._stopped = asyncio.Event()
        self._number = int(time.time() * 1000)  # those of a later process are larger
        self._answered: dict[str, int] = {}

    def stop(self) -> None:
        """Begin nothing more; what is open goes on to its end."""
        self._stopped.set()

    async def run(self, targets: Sequence[str], media: str) -> None:
        """Work until stopped, and until all that was begun has ended."""
        for kind, target, number, outcome in read(self._path):
            if kind == "durable" and outcome.startswith("answered"):
                self._answered[target] = max(number, self._answered.get(target, 0))
        async with asyncio.TaskGroup() as group:
            for target in targets:
                client = ChatClient(self._ref.to(actor_id(target)))
                group.create_task(self._repeat(group, "call", target, client, self._call))
                group.create_task(self._repeat(group, "tell", target, client, self._tell))
                group.create_task(self._repeat(group, "streams", target, client, self._streams))
                group.create_task(self._durables(group, target, client))
                group.create_task(self._items(target, latency_first=False))
                group.create_task(self._items(target, latency_first=True))
            if media:
                publishing = group.create_task(self._publish(media))
                await self._stopped.wait()
                publishing.cancel()

    async def _pause(self, kind: str) -> bool:
        """Wait for the next of its kind; False when there is none any more."""
        try:
            async with asyncio.timeout(PAUSES[kind]):
                await self._stopped.wait()
        except TimeoutError:
            return True
        return False

    async def _repeat(
        self,
        group: asyncio.TaskGroup,
        kind: str,
        target: str,
        client: ChatClient,
        one: Callable[[str, ChatClient, int], Awaitable[str]],
    ) -> None:
        places = asyncio.Semaphore(MAX_OPEN)
        while await self._pause(kind):
            await places.acquire()
            self._number += 1
            group.create_task(self._noted(kind, target, client, one, self._number, places))

    async def _noted(
        self,
        kind: str,
        target: str,
        client: ChatClient,
        one: Callable[[str, ChatClient, int], Awaitable[str]],
        number: int,
        places: asyncio.Semaphore,
    ) -> None:
        """Make one call, and note how it ended."""
        self.open += 1
        self._notes.write(kind, target, number, "begun")
        try:
            async with asyncio.timeout(HUNG_SECONDS):
                outcome = await one(target, client, number)
        except PeerError as exc:
            outcome = f"refused {type(exc).__name__}"
        except TimeoutError:
            outcome = "hung"
        finally:
            self.open -= 1
            places.release()
        self._notes.write(kind, target, number, outcome)

    async def _call(self, target: str, client: ChatClient, number: int) -> str:
        request = pb.SayRequest(author=self._name, text=f"call {number}")
        return f"answered {(await client.say(request, timeout=CALL_SECONDS)).number}"

    async def _tell(self, target: str, client: ChatClient, number: int) -> str:
        request = pb.SayRequest(author=self._name, text=f"tell {number}")
        await client.tell(ChatService.SAY, request)
        return "accepted"

    async def _streams(self, target: str, client: ChatClient, number: int) -> str:
        """One stream of each kind; what comes must be in order, and whole if reliable."""
        try:
            async with asyncio.timeout(STREAM_SECONDS):
                return await self._four(client)
        except TimeoutError:
            return "refused TimeoutError"

    async def _four(self, client: ChatClient) -> str:
        seen = [int(one.who) async for one in client.presence(pb.PresenceRequest())]
        if seen != list(range(ITEMS)):
            return f"wrong presence gave {seen}"
        reply = await client.upload(_pieces(), timeout=CALL_SECONDS)
        if reply.size_bytes != ITEMS * len(PIECE):
            return f"wrong upload of {ITEMS * len(PIECE)} bytes gave {reply.size_bytes}"
        lines = client.messages(pb.MessagesRequest(test_lines=ITEMS), timeout=CALL_SECONDS)
        seen = [line.number async for line in lines]
        if len(seen) != len(set(seen)):
            return f"wrong messages gave {seen}"
        moves = client.cursors(_moves(), timeout=CALL_SECONDS)
        seen = [int(move.x) async for move in moves]
        return "accepted" if len(seen) == len(set(seen)) else f"wrong cursors gave {seen}"

    async def _durables(self, group: asyncio.TaskGroup, target: str, client: ChatClient) -> None:
        """Ask again for what earlier processes left, then go on after the last number."""
        places = asyncio.Semaphore(MAX_OPEN)
        keys = [key.split(" ") for key in self._ref.durable_keys()]
        kept = sorted(int(number) for to, number in keys if to == target)
        last = max([0, self._answered.get(target, 0), *kept])
        for number in kept:
            await places.acquire()
            group.create_task(self._durable(target, client, number, places))
        while await self._pause("durable"):
            await places.acquire()
            last += 1
            group.create_task(self._durable(target, client, last, places))

    async def _durable(
        self, target: str, client: ChatClient, number: int, places: asyncio.Semaphore
    ) -> None:
        self.open += 1
        key = f"{target} {number}"
        request = pb.SayRequest(author=self._name, text=f"durable {number}")
        self._notes.write("durable", target, number, "begun")
        try:
            while True:
                try:
                    reply = await client.say(request, durable=key, timeout=HUNG_SECONDS)
                except CallError as exc:
                    if not exc.retryable:
                        outcome = f"refused {exc.code.name}"
                        break
                except PeerError as exc:
                    if self._ref.node.ended.is_set():
                        outcome = f"refused {type(exc).__name__}"
                        break
                else:
                    outcome = f"answered {reply.number}"
                    break
                await asyncio.sleep(0.2)
            self._notes.write("durable", target, number, outcome)
            if outcome.startswith("answered"):
                self._ref.forget_call(key)
        finally:
            self.open -= 1
            places.release()

    async def _items(self, target: str, *, latency_first: bool) -> None:
        """Send numbered items on a channel; a new channel's half where one has ended."""
        kind = "late" if latency_first else "items"
        writer: StreamWriter | None = None
        while await self._pause(kind):
            self._number += 1
            number = self._number
            self._notes.write(kind, target, number, "begun")
            try:
                if writer is None:
                    writer = self._ref.open_stream(
                        actor_id(target), kind, latency_first=latency_first
                    )
                async with asyncio.timeout(HUNG_SECONDS):
                    await writer.send(f"{self._name} {number}".encode())
            except PeerError as exc:
                if writer is not None:
                    with suppress(PeerError):  # the link may be gone with it
                        self._ref.close_stream(writer)
                writer = None
                self._notes.write(kind, target, number, f"refused {type(exc).__name__}")
            except TimeoutError:
                self._notes.write(kind, target, number, "hung")
            else:
                self._notes.write(kind, target, number, "accepted")

    async def _publish(self, target: str) -> None:
        """A small track to one neighbour, published again whenever it has ended."""
        for count in range(1 << 30):
            source = TestPattern(
                width=160, height=96, fps=4, bit_rate=60_000, track_id=f"{self._name}-{count}"
            )
            try:
                track = await self._ref.publish(actor_id(target), source, timeout=CALL_SECONDS)
                await track.ended.wait()
            except PeerError:
                await asyncio.sleep(1)


class Arrivals:
    """Takes items of a channel, and notes those that are doubled or out of order.

    Numbers of one sender grow, so a few of each are all that is kept in memory.
    """

    def __init__(self, ref: ActrRef, notes: Notes) -> None:
        self._notes = notes
        self._newest: dict[str, int] = {}
        self._late: dict[str, deque[int]] = {}
        ref.register_stream("items", self._take_item)
        ref.register_stream("late", self._take_late)

    def _take_item(self, chunk: Chunk, sender: ActrId) -> None:
        name, number = _parse(chunk)
        if number <= self._newest.get(name, 0):
            self._notes.write("taken-twice", name, number, f"wrong after {self._newest[name]}")
        self._newest[name] = number
        self._notes.write("taken", name, number, "taken")

    def _take_late(self, chunk: Chunk, sender: ActrId) -> None:
        """Those may overtake each other, and be left out, but not come twice."""
        name, number = _parse(chunk)
        recent = self._late.setdefault(name, deque(maxlen=RECENT))
        if number in recent:
            self._notes.write("late-twice", name, number, "wrong came twice")
        recent.append(number)


def _parse(chunk: Chunk) -> tuple[str, int]:
    name, number = bytes(chunk.data).decode().split(" ")
    return name, int(number)


async def _pieces() -> AsyncIterator[pb.FilePiece]:
    for _ in range(ITEMS):
        yield pb.FilePiece(data=PIECE)


async def _moves() -> AsyncIterator[pb.CursorMove]:
    for number in range(ITEMS):
        yield pb.CursorMove(x=number)
