"""A peer that sends and takes numbered traffic on every byte lane, and records it.

``python -m lab.traffic NAME FOLDER URL [OPTIONS]``. It is told what to do by JSON lines on
its standard input, each answered by one line with the same ``id``; lines without an ``id`` tell
of events. ``FOLDER/NAME.accepted`` and ``FOLDER/NAME.arrived`` are its records.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatService
from actr_peer import ActrId, Context, MediaFrame, NodeConfig, System, WireKind
from actr_peer.node.hooks import LinkEvent, WireEvent
from actr_peer.node.node import Node
from actr_peer.transport.link_view import every_lane
from actr_peer.transport.publications import Publication
from actr_peer.wire.media.sources import TestPattern
from lab.generator import Generator
from lab.processes import watch
from lab.record import Record, RecordFile

EVENTUALLY = 0.05
"""Seconds between two looks at a state that has no event."""
SETTLE_SECONDS, STOP_SECONDS = 30.0, 45.0


def emit(**values: object) -> None:
    """Write one JSON line."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def rss_mb() -> float:
    """Memory of this process that is in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


class Recorder(ChatService):
    """Records what arrives; answers at once."""

    def __init__(self, records: RecordFile) -> None:
        self._records = records
        self.delay = 0.0
        self.frames = 0
        self.tracks: set[str] = set()

    def frame(self, frame: MediaFrame, sender: ActrId) -> None:
        """Take one frame of any track; a key frame is told of."""
        self.frames += 1
        self.tracks.add(frame.track_id)
        if frame.keyframe:
            emit(event="keyframe", track=frame.track_id, at=time.monotonic())

    def record(self, lane: str, number: int, sent_at: float) -> None:
        self._records.write(Record(lane, number, time.monotonic(), sent_at))

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        number, sent_at, size, _ = request.text.split(" ", 3)
        if len(request.text) != int(size):
            raise AssertionError(f"message {number} has {len(request.text)} characters")
        self.record("rpc", int(number), float(sent_at))
        if self.delay:
            await asyncio.sleep(self.delay)
        return pb.SayReply(number=int(number))

    async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
        self.record("signal", int(request.who), float(request.reason.split(" ", 1)[0]))
        return pb.KickReply(was_present=True)

    async def history(self, request: pb.HistoryRequest, ctx: Context) -> pb.HistoryReply:
        return pb.HistoryReply()

    async def messages(
        self, request: pb.MessagesRequest, ctx: Context
    ) -> AsyncIterator[pb.ChatMessage]:
        yield pb.ChatMessage()

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        return pb.UploadReply()

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        yield pb.PresenceChange()

    async def cursors(
        self, requests: AsyncIterator[pb.CursorMove], ctx: Context
    ) -> AsyncIterator[pb.CursorMove]:
        async for move in requests:
            yield move

    # Hooks.

    async def on_wire(self, event: WireEvent) -> None:
        emit(event="wire", kind=event.kind.value, state=event.state.name, at=time.monotonic())

    async def on_link(self, event: LinkEvent) -> None:
        emit(event=event.kind.value, detail=event.detail, at=time.monotonic())


class Peer:
    """Does what it is told."""

    def __init__(self, node: Node, recorder: Recorder, accepted: RecordFile) -> None:
        self._node = node
        self._recorder = recorder
        self._generator = Generator(node, accepted, emit)
        self._tracks: list[Publication] = []
        self._verbs: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
            "send": self.send,
            "stop": self.stop,
            "slow": self.slow,
            "call": self.call,
            "settle": self.settle,
            "status": self.status,
            "idle": watch,
            "expect": self.expect,
            "publish": self.publish,
            "network_changed": self.network_changed,
        }
        node.ref.register_media(None, recorder.frame)
        for channel, lane in (("items", "stream"), ("late", "latency")):
            node.ref.register_stream(channel, self._taker(lane))

    def _taker(self, lane: str) -> Callable[[Any, ActrId], None]:
        def take(chunk: Any, sender: ActrId) -> None:
            number, sent_at, size, _ = chunk.data.split(b" ", 3)
            if len(chunk.data) != int(size):
                raise AssertionError(f"item {number!r} has {len(chunk.data)} bytes")
            self._recorder.record(lane, int(number), float(sent_at))

        return take

    async def answer(self, line: bytes) -> None:
        """Do one thing and say how it went."""
        order = json.loads(line)
        number, verb = order.pop("id"), order.pop("do")
        try:
            emit(id=number, **await self._verbs[verb](**order))
        except Exception as exc:  # noqa: BLE001  the one who gave the order hears of it
            emit(id=number, error=type(exc).__name__, detail=str(exc))

    async def send(self, to: str, rates: dict[str, float], size: int = 100) -> dict[str, Any]:
        """Send numbered messages to a peer, so many a second on each lane, until stopped."""
        self._generator.start(to, rates, size)
        return {}

    async def stop(self, timeout: float = STOP_SECONDS) -> dict[str, Any]:
        """Send no more; answers when every send and call has ended, or was given up."""
        await self._generator.stop(timeout)
        return {"refused": self._generator.refused, "given_up": self._generator.given_up}

    async def slow(self, seconds: float) -> dict[str, Any]:
        """Have the handlers of RPC_RELIABLE take so long from now on."""
        self._recorder.delay = seconds
        return {}

    async def call(self, to: str, timeout: float = 5.0, size: int = 100) -> dict[str, Any]:
        """One call on RPC_SIGNAL."""
        started = time.monotonic()
        await self._generator.call(to, timeout=timeout, size=size)
        return {"seconds": time.monotonic() - started}

    async def settle(self, to: str, timeout: float = SETTLE_SECONDS) -> dict[str, Any]:
        """Wait until nothing is queued or unacknowledged, and the mailbox is empty."""
        ok = await eventually(lambda: self._is_idle(to), timeout)
        return {"ok": ok, **self._counts(to)}

    def _is_idle(self, to: str) -> bool:
        node = self._node.view()
        link = node.link(ActrId.parse(to))
        if link is None:
            return True
        held = sum(
            lane.queued + lane.sending_bytes + lane.receiving_bytes
            for _, lane in every_lane(link.lanes)
        )
        return held == 0 and node.mailbox.depth == 0

    def _counts(self, to: str) -> dict[str, Any]:
        view = self._node.view().link(ActrId.parse(to))
        if view is None:
            return {"active": None, "wires": {}, "lanes": {}}
        return {
            "active": view.active.value if view.active else None,
            "wires": {wire.kind.value: wire.state.name for wire in view.wires},
            "lanes": {name: asdict(lane) for name, lane in every_lane(view.lanes)},
        }

    async def status(self, to: str) -> dict[str, Any]:
        """How things stand, and what the process uses."""
        gc.collect()
        return {
            **self._counts(to),
            "mailbox": self._node.view().mailbox.depth,
            "heap_blocks": sys.getallocatedblocks(),
            "rss_mb": rss_mb(),
            "tasks": len(asyncio.all_tasks()),
            "frames": self._recorder.frames,
            "frame_tracks": sorted(self._recorder.tracks),
            "published": {
                track.track_id: {"state": track.state.name, "resumed": track.resumed}
                for track in self._tracks
            },
        }

    async def expect(
        self,
        to: str,
        timeout: float,
        *,
        active: str | None = None,
        ready: list[str] | None = None,
        frames: int = 0,
        published: str = "",
    ) -> dict[str, Any]:
        """Wait until this wire is in use, these are ready, so many frames have come, and all
        tracks published here are in this state."""

        def holds() -> bool:
            counts = self._counts(to)
            return (
                (active is None or counts["active"] == active)
                and all(counts["wires"].get(kind) == "READY" for kind in ready or ())
                and self._recorder.frames >= frames
                and all(track.state.name == published for track in self._tracks if published)
            )

        started = time.monotonic()
        ok = await eventually(holds, timeout)
        return {"ok": ok, "seconds": time.monotonic() - started, **self._counts(to)}

    async def publish(self, to: str, track_id: str) -> dict[str, Any]:
        """Publish a small test pattern, by and by."""
        source = TestPattern(width=320, height=180, fps=15, track_id=track_id)
        self._tracks.append(await self._node.ref.publish(to, source, timeout=10))
        return {"track": self._tracks[-1].track_id}

    async def network_changed(self) -> dict[str, Any]:
        """As after moving to another network."""
        self._node.ref.network_changed()
        return {}


async def eventually(holds: Callable[[], bool], timeout: float) -> bool:
    """Look again and again until it holds, for at most ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(EVENTUALLY)
    return True


def config(name: str, home: Path, url: str, options: dict[str, Any]) -> NodeConfig:
    """The configuration of such a peer; ``options`` are fields of it, wires by name."""
    kinds = options.pop("prefer", ["webrtc", "websocket"])
    defaults: dict[str, Any] = {"durability": "process", "mailbox_path": home / f"{name}.db"}
    return NodeConfig(
        id=ActrId("bench", name, "1"),
        signaling_url=url,
        listen="0.0.0.0:0",
        prefer=tuple(WireKind(kind) for kind in kinds),
        **{**defaults, **options},
    )


async def main(name: str, folder: str, url: str, options: str = "{}") -> None:
    """Serve orders until standard input ends."""
    home = Path(folder)
    recorder = Recorder(RecordFile(home / f"{name}.arrived"))
    system = System(config(name, home, url, json.loads(options)))
    orders = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with system.attach(recorder) as node, asyncio.TaskGroup() as group:
        peer = Peer(node, recorder, RecordFile(home / f"{name}.accepted"))
        emit(event="ready", id=str(node.id))
        while line := await orders.readline():
            group.create_task(peer.answer(line))


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
