"""Named channels and tracks mean the same to the own id as to another actor.

``shell`` and ``workload`` send to the own id, ``websocket`` sends to another actor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import (
    Code,
    Context,
    RemoteTrack,
    StreamFailedError,
    System,
    TrackEvent,
    TrackState,
)
from actr_peer.actor.reach import Reach
from actr_peer.errors import BrokenError, BusyError, CallError, ClosedError, PeerError
from actr_peer.node.node import Node
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media.frames import MediaFrame, Sample
from lab.quiet import Quiet
from peer_kit.place import Place
from peer_kit.signaling import config

pytestmark = pytest.mark.service

ROOM = "acme:room@1:default"
PATIENCE = 60.0
WHO = ContextVar("WHO", default="nobody")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Place(tmp_path_factory.mktemp("realm")).signaling() as url:
        yield url


class Room(Quiet):
    """Lets a test have a handler's context for as long as it likes."""

    def __init__(self) -> None:
        self.context: asyncio.Future[Context] = asyncio.get_running_loop().create_future()

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        self.context.set_result(ctx)
        yield pb.PresenceChange()
        await asyncio.Event().wait()


@dataclass
class Met:
    there: Node
    sender: Reach
    sender_id: ActrId
    nodes: list[Node]


@pytest.fixture(params=["shell", "workload", "websocket"])
async def met(request: pytest.FixtureRequest, url: str) -> AsyncIterator[Met]:
    room = Room()
    async with System(config("room", url, close_timeout=2.0)).attach(room) as there:
        if request.param == "websocket":
            async with System(config("caller", url, close_timeout=2.0)).attach(Quiet()) as here:
                yield Met(there, here.ref, here.id, [there, here])
                await settled(there, here)
            return
        changes = ChatClient(there.ref).presence(pb.PresenceRequest())
        await anext(changes)
        sender = there.ref if request.param == "shell" else await room.context
        yield Met(there, sender, there.id, [there])
        await changes.aclose()  # type: ignore[attr-defined]
        await settled(there)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nobody reports it
            await asyncio.sleep(0.01)


async def settled(*nodes: Node) -> None:
    """No half is left, and nobody has failed."""
    await until(lambda: not any(node.assembly.streams.open_count for node in nodes))
    assert [node.failure for node in nodes] == [None] * len(nodes)


async def test_items_reach_the_callback_in_order_with_who_sent_them(met: Met) -> None:
    taken: list[Any] = []
    met.there.ref.register_stream("telemetry", lambda chunk, sender: taken.append((chunk, sender)))
    writer = met.sender.open_stream(ROOM, "telemetry")
    with pytest.raises(BusyError):
        met.sender.open_stream(ROOM, "telemetry")
    for number in range(300):
        await writer.send(str(number).encode(), {"n": "1"} if number == 299 else {})
    await until(lambda: len(taken) == 300)
    assert [chunk.data for chunk, _ in taken] == [str(number).encode() for number in range(300)]
    assert {sender for _, sender in taken} == {met.sender_id}
    assert taken[-1][0].metadata == {"n": "1"}
    writer.end()


async def test_a_callback_has_nothing_of_the_context_of_who_sends_or_calls(met: Met) -> None:
    seen: list[str] = []
    met.there.ref.register_stream(
        "telemetry",
        lambda chunk, sender: seen.append(WHO.get()),
        on_end=lambda end, sender: seen.append(WHO.get()),
    )
    WHO.set("a sender")
    for _ in range(2):
        async with met.sender.stream(ROOM, "telemetry") as stream:
            await stream.send(b"x")
    await until(lambda: len(seen) == 4)
    assert seen == ["nobody"] * 4


async def test_a_slow_callback_holds_up_a_reliable_writer(met: Met) -> None:
    taken: list[bytes] = []
    may_go_on = asyncio.Event()

    async def slow(chunk: Any, sender: ActrId) -> None:
        await may_go_on.wait()
        taken.append(chunk.data)

    met.there.ref.register_stream("slow", slow)
    writer = met.sender.open_stream(ROOM, "slow")

    async def write() -> None:
        for number in range(400):
            await writer.send(str(number).encode())

    writing = asyncio.ensure_future(write())
    await until(lambda: writer.sent >= 64)
    await asyncio.sleep(0.1)
    assert not writing.done()
    assert writer.sent <= 64 + 16
    may_go_on.set()
    await writing
    await until(lambda: len(taken) == 400)
    assert taken == [str(number).encode() for number in range(400)]
    writer.end()


async def test_a_slow_callback_loses_the_oldest_of_a_latency_first_channel(met: Met) -> None:
    taken: list[int] = []
    may_go_on = asyncio.Event()

    async def slow(chunk: Any, sender: ActrId) -> None:
        await may_go_on.wait()
        taken.append(int(chunk.data))

    met.there.ref.register_stream("position", slow)
    writer = met.sender.open_stream(ROOM, "position", latency_first=True)
    for number in range(500):
        await writer.send(str(number).encode())
        await asyncio.sleep(0)
    may_go_on.set()
    writer.end()
    await until(lambda: not met.there.assembly.streams.open_count)
    assert len(taken) < 200
    assert taken == sorted(taken)


async def test_nobody_there_ends_a_reliable_writer(met: Met) -> None:
    async def send_all() -> None:
        writer = met.sender.open_stream(ROOM, "nobody")
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    await writer.send(b"x")
                    await asyncio.sleep(0)
        finally:
            writer.end()

    with pytest.raises(BrokenError):
        await send_all()


async def test_a_block_that_sends_meets_a_block_that_takes_and_each_end_is_told(met: Met) -> None:
    taken: list[list[bytes]] = []
    failures: list[StreamFailedError] = []
    is_open = asyncio.Event()

    async def take() -> None:
        async with met.there.ref.incoming("blocks") as streams:
            is_open.set()
            async for stream in streams:
                assert stream.sender == met.sender_id
                taken.append([])
                try:
                    async for chunk in stream:
                        taken[-1].append(chunk.data)
                except StreamFailedError as exc:
                    failures.append(exc)
                    return

    async def send(count: int, error: Exception | None = None) -> None:
        async with met.sender.stream(ROOM, "blocks") as s:
            for number in range(count):
                await s.send(str(number).encode())
            if error is not None:
                raise error

    taking = asyncio.ensure_future(take())
    await is_open.wait()
    await send(200)
    with pytest.raises(CallError):
        await send(2, CallError(Code.ABORTED, "enough"))
    async with asyncio.timeout(PATIENCE):
        await taking
    assert [len(part) for part in taken] == [200, 2]
    assert [failure.last_sequence for failure in failures] == [1]
    assert isinstance(failures[0].reason, CallError)
    assert failures[0].reason.message == "enough"


async def test_a_callback_is_told_of_the_end_behind_the_last_item(met: Met) -> None:
    heard: list[Any] = []
    met.there.ref.register_stream(
        "told",
        lambda chunk, sender: heard.append(chunk.sequence),
        on_end=lambda end, sender: heard.append((end.last_sequence, end.error, sender)),
    )
    async with met.sender.stream(ROOM, "told") as s:
        for _ in range(3):
            await s.send(b"x")
    await until(lambda: len(heard) == 4)
    assert heard == [0, 1, 2, (2, None, met.sender_id)]


async def test_who_unregisters_ends_what_flows(met: Met) -> None:
    arrived = asyncio.Event()
    unregister = met.there.ref.register_stream("short", lambda chunk, sender: arrived.set())
    writer = met.sender.open_stream(ROOM, "short")
    await writer.send(b"x")
    await arrived.wait()
    unregister()

    async def send_on() -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                await writer.send(b"x")
                await asyncio.sleep(0)

    with pytest.raises(BrokenError):
        await send_on()


async def test_a_channel_that_is_ended_may_be_opened_again_thousands_of_times(url: str) -> None:
    taken: list[bytes] = []
    async with System(config("room", url)).attach(Quiet()) as node:
        node.ref.register_stream("again", lambda chunk, sender: taken.append(chunk.data))
        before = len(asyncio.all_tasks())
        for number in range(10_000):
            writer = node.ref.open_stream(node.id, "again")
            await writer.send(str(number).encode())
            writer.end()
            if number % 8 == 7:
                await until(lambda number=number: len(taken) == number + 1)
        await settled(node)
        await until(lambda: len(asyncio.all_tasks()) <= before)
        assert taken == [str(number).encode() for number in range(10_000)]


class Camera:
    """Gives frames as fast as they are taken, and ends when it is told to."""

    track_id, kind, codec = "camera", "video", "VP8"

    def __init__(self, count: int) -> None:
        self.left = count
        self.asked = asyncio.Event()

    async def read(self) -> Sample | None:
        if not self.left:
            await self.asked.wait()
            return None
        self.left -= 1
        return Sample(b"\0frame", 90 * self.left)

    def request_keyframe(self) -> None:
        self.asked.set()


async def test_a_track_to_the_own_id_reaches_the_callback_without_a_connection(url: str) -> None:
    taken: list[tuple[MediaFrame, ActrId]] = []
    async with System(config("room", url)).attach(Quiet()) as node:
        node.ref.register_media("camera", lambda frame, sender: taken.append((frame, sender)))
        camera = Camera(50)
        publication = await node.ref.publish(node.id, camera)
        with pytest.raises(BusyError):
            await node.ref.publish(node.id, Camera(1))
        await until(lambda: len(taken) == 50)
        assert [frame.timestamp for frame, _ in taken] == [90 * n for n in reversed(range(50))]
        assert {sender for _, sender in taken} == {node.id}
        node.ref.request_keyframe(node.id, "camera")
        async with asyncio.timeout(PATIENCE):
            await publication.ended.wait()
        again = await node.ref.publish(node.id, Camera(1))
        await until(lambda: len(taken) == 51)
        await again.stop()
        assert len(node.assembly.transport.own_tracks) == 0
        assert node.view().links == ()


async def test_a_track_to_the_own_id_begins_and_ends_for_who_takes_it(url: str) -> None:
    events: list[TrackEvent.Kind] = []
    async with System(config("room", url)).attach(Quiet()) as node:
        node.ref.register_media(
            "camera", lambda *frame: None, on_event=lambda event, sender: events.append(event.kind)
        )
        track = node.ref.track(node.id, "camera")
        for _ in range(2):
            taking = asyncio.ensure_future(all_of(track, 30))
            await asyncio.sleep(0)
            publication = await node.ref.publish(node.id, Camera(30))
            assert track.state is TrackState.LIVE
            async with asyncio.timeout(PATIENCE):
                frames = await taking
                await publication.ended.wait()
            assert [frame.timestamp for frame in frames] == [90 * n for n in reversed(range(30))]
            assert all(frame.sent_at is not None for frame in frames)
            assert track.state is None
        await until(lambda: len(events) == 4)
        assert events == [TrackEvent.Kind.BEGAN, TrackEvent.Kind.ENDED] * 2
        assert not node.assembly.media_subscribers._incoming


async def all_of(track: RemoteTrack, count: int) -> list[MediaFrame]:
    """All frames of a :class:`Camera`, which ends when a key frame is asked for."""
    frames = []
    async for frame in track:
        frames.append(frame)
        if len(frames) == count:
            track.request_keyframe()
    return frames


async def test_the_end_of_an_actor_ends_its_channels_and_tracks_to_itself(url: str) -> None:
    async with System(config("room", url, close_timeout=2.0)).attach(Quiet()) as node:
        node.ref.register_stream("c", lambda chunk, sender: asyncio.Event().wait())  # type: ignore[arg-type, return-value]
        publication = await node.ref.publish(node.id, Camera(0))
        writer = node.ref.open_stream(node.id, "c")
        sending = asyncio.ensure_future(send_for_ever(writer))
        taking = asyncio.ensure_future(take_for_ever(node.ref))
        await asyncio.sleep(0.05)
    with pytest.raises(ClosedError):
        await asyncio.wait_for(taking, PATIENCE)
    assert publication.ended.is_set()
    with pytest.raises(PeerError):
        await sending
    with pytest.raises((PeerError, CallError)):
        node.ref.open_stream(node.id, "c")
    assert node.failure is None


async def take_for_ever(ref: Reach) -> None:
    async with ref.incoming("d") as streams:
        async for _ in streams:
            pass


async def send_for_ever(writer: Any) -> None:
    while True:
        await writer.send(b"x")
        await asyncio.sleep(0)
