"""The chat room: the workload of the demo, and the process that serves it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from typing import Final, TypeVar

from actr.demo.chat_actr import ChatService
from actr.demo.chat_pb2 import (
    ChatMessage,
    CursorMove,
    FilePiece,
    HistoryReply,
    HistoryRequest,
    KickReply,
    KickRequest,
    MessagesRequest,
    PresenceChange,
    PresenceRequest,
    SayReply,
    SayRequest,
    UploadReply,
)
from actr_peer import ActrId, CallError, Code, Context, MediaFrame, System
from actr_peer.cli.demo.process import peer_main
from actr_peer.cli.demo.report import Finished, MediaSeen, Ready, percentile, tell
from actr_peer.node.config import NodeConfig
from actr_peer.node.process.startup import until_asked_to_stop

KEPT_LINES: Final = 10_000
LISTENER_QUEUE: Final = 64
"""Items that wait for one listener; more drop the oldest."""
NS_PER_MS: Final = 1e6

Item = TypeVar("Item")


class Room(ChatService):
    """Everything a room knows: its last lines, who is in it, and who listens."""

    def __init__(self) -> None:
        self._lines: deque[ChatMessage] = deque(maxlen=KEPT_LINES)
        self._people: set[str] = set()
        self._said = 0
        self._line_listeners: set[asyncio.Queue[ChatMessage]] = set()
        self._presence_listeners: set[asyncio.Queue[PresenceChange]] = set()

    async def say(self, request: SayRequest, ctx: Context, /) -> SayReply:
        if not request.author:
            raise CallError(Code.INVALID_ARGUMENT, "a line has an author: set it")
        self._said += 1
        line = ChatMessage(
            number=self._said,
            author=request.author,
            text=request.text,
            sent_at_ns=time.monotonic_ns(),
        )
        self._lines.append(line)
        if request.author not in self._people:
            self._people.add(request.author)
            _offer(self._presence_listeners, PresenceChange(who=request.author, present=True))
        _offer(self._line_listeners, line)
        return SayReply(number=line.number)

    async def history(self, request: HistoryRequest, ctx: Context, /) -> HistoryReply:
        first = max(0, len(self._lines) - request.limit) if request.limit else 0
        return HistoryReply(messages=list(self._lines)[first:])

    async def kick(self, request: KickRequest, ctx: Context, /) -> KickReply:
        was_present = request.who in self._people
        if was_present:
            self._people.remove(request.who)
            _offer(self._presence_listeners, PresenceChange(who=request.who, present=False))
        return KickReply(was_present=was_present)

    async def messages(
        self, request: MessagesRequest, ctx: Context, /
    ) -> AsyncIterator[ChatMessage]:
        if request.test_lines:
            async for line in _test_lines(request):
                yield line
            return
        async for line in _listen(self._line_listeners):
            yield line

    async def upload(self, requests: AsyncIterator[FilePiece], ctx: Context, /) -> UploadReply:
        digest, size, expected = hashlib.sha256(), 0, None
        delays: list[float] = []
        async for piece in requests:
            if piece.HasField("header"):
                expected = piece.header.size_bytes
                continue
            delays.append((time.monotonic_ns() - piece.sent_at_ns) / NS_PER_MS)
            digest.update(piece.data)
            size += len(piece.data)
        if expected is None:
            raise CallError(Code.INVALID_ARGUMENT, "an upload starts with a header")
        if size != expected:
            raise CallError(Code.DATA_LOSS, f"{size} bytes came of {expected}")
        return UploadReply(
            size_bytes=size,
            sha256=digest.hexdigest(),
            p50_ms=percentile(delays, 50) or 0,
            p99_ms=percentile(delays, 99) or 0,
        )

    async def presence(
        self, request: PresenceRequest, ctx: Context, /
    ) -> AsyncIterator[PresenceChange]:
        for who in sorted(self._people):
            yield PresenceChange(who=who, present=True)
        async for change in _listen(self._presence_listeners):
            yield change

    async def cursors(
        self, requests: AsyncIterator[CursorMove], ctx: Context, /
    ) -> AsyncIterator[CursorMove]:
        async for move in requests:
            yield move


async def _test_lines(request: MessagesRequest) -> AsyncIterator[ChatMessage]:
    """Lines at an even pace; the stream is what paces, so it sleeps from line to line."""
    loop = asyncio.get_running_loop()
    text, started = "x" * request.text_bytes, loop.time()
    for number in range(1, request.test_lines + 1):
        due = started + number * request.interval_us / 1e6
        await asyncio.sleep(due - loop.time())
        now = time.monotonic_ns()
        yield ChatMessage(number=number, author="room", text=text, sent_at_ns=now)


async def _listen(listeners: set[asyncio.Queue[Item]]) -> AsyncIterator[Item]:
    """What is offered from now on, until the listener is cancelled."""
    queue: asyncio.Queue[Item] = asyncio.Queue(LISTENER_QUEUE)
    listeners.add(queue)
    try:
        while True:
            yield await queue.get()
    finally:
        listeners.discard(queue)


def _offer(listeners: set[asyncio.Queue[Item]], item: Item) -> None:
    for queue in listeners:
        if queue.full():
            queue.get_nowait()
        queue.put_nowait(item)


class Tracks:
    """The frames that came, by track."""

    def __init__(self) -> None:
        self._frames: dict[str, list[tuple[int, int]]] = {}
        self._bytes: dict[str, int] = {}
        self._first: dict[str, MediaFrame] = {}

    def receive(self, frame: MediaFrame, sender: ActrId) -> None:
        """Note one frame; a media callback."""
        track = frame.track_id
        self._first.setdefault(track, frame)
        self._frames.setdefault(track, []).append((frame.timestamp, time.monotonic_ns()))
        self._bytes[track] = self._bytes.get(track, 0) + len(frame.data)

    def seen(self) -> list[MediaSeen]:
        """All tracks, in the order in which they began."""
        return [
            MediaSeen(
                track_id=track,
                kind=first.kind,
                codec=first.codec,
                frames=tuple(self._frames[track]),
                bytes=self._bytes[track],
            )
            for track, first in self._first.items()
        ]


async def serve(config: NodeConfig) -> None:
    """Serve a room until SIGTERM, then tell what media came."""
    tracks = Tracks()
    async with System(config).attach(Room()) as node:
        node.ref.register_media(None, tracks.receive)
        await until_asked_to_stop(node.ref, partial(tell, Ready(id=str(node.id))))
    for seen in tracks.seen():
        tell(seen)
    tell(Finished())


if __name__ == "__main__":
    peer_main(serve)
