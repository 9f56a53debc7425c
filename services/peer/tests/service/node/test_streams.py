"""Streams between two actors over a real wire: given up, left, opened again, too long, too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import Chunk, Context, StreamEnd, StreamFailedError, System
from actr_peer.actor import stream_handlers
from actr_peer.errors import (
    BrokenError,
    BusyError,
    CallError,
    Code,
    DeadlineError,
    LimitError,
    PeerError,
    UnreachableError,
)
from actr_peer.node.node import Node
from actr_peer.protocol.payload import MAX_MESSAGE_BYTES, PayloadType
from actr_peer.protocol.rpc.shares import Room as Places
from lab.quiet import Quiet
from peer_kit.signaling import config, signaling_service

pytestmark = pytest.mark.service

ROOM = "acme:room@1:default"
PATIENCE = 60.0


class Room(Quiet):
    """Busy while a test wants it to be; says what becomes of its uploads."""

    def __init__(self) -> None:
        self.is_busy = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.uploads: list[str] = []
        self.changed = asyncio.Condition()
        self.reply = pb.UploadReply(size_bytes=1)
        self.waits = False

    async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
        self.is_busy.set()
        await self.may_go_on.wait()
        return pb.KickReply()

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        await self.note("begun")
        try:
            async for _ in requests:
                pass
            await self.note("all read")
            if self.waits:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            await self.note("cancelled")
            raise
        return self.reply

    async def note(self, what: str) -> None:
        self.uploads.append(what)
        async with self.changed:
            self.changed.notify_all()

    async def until(self, what: str) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: what in self.uploads)


class Met:
    def __init__(self, room: Room, there: Node, here: Node) -> None:
        self.room, self.there, self.here = room, there, here
        self.client = ChatClient(here.ref.to(ROOM))


@asynccontextmanager
async def met() -> AsyncIterator[Met]:
    room = Room()
    async with (
        signaling_service() as url,
        System(config("room", url, close_timeout=2.0)).attach(room) as there,
        System(config("caller", url, close_timeout=2.0)).attach(Quiet()) as here,
        asyncio.timeout(PATIENCE),
    ):
        yield Met(room, there, here)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def never() -> AsyncIterator[pb.FilePiece]:
    await asyncio.Event().wait()
    yield pb.FilePiece()


async def pieces(count: int = 2) -> AsyncIterator[pb.FilePiece]:
    for _ in range(count):
        yield pb.FilePiece(data=b"x")


@asynccontextmanager
async def busy(m: Met) -> AsyncIterator[None]:
    """The room is in the middle of a request, until the block ends."""
    kick = asyncio.create_task(m.client.kick(pb.KickRequest()))
    await m.room.is_busy.wait()
    yield
    m.room.may_go_on.set()
    with suppress(PeerError):
        await kick


async def test_a_caller_that_leaves_before_its_streams_turn_costs_the_callee_nothing():
    async with met() as m:
        stay = asyncio.create_task(m.client.kick(pb.KickRequest()))
        await m.room.is_busy.wait()
        upload = asyncio.create_task(m.client.upload(never()))
        await until(lambda: m.there.assembly.scheduler.waiting == 1)
        await m.here.close()
        await asyncio.gather(upload, stay, return_exceptions=True)
        await until(lambda: not m.there.view().links)
        m.room.may_go_on.set()
        await until(lambda: not m.there.assembly.scheduler.waiting)
        reply = await ChatClient(m.there.ref).say(pb.SayRequest())
        assert reply.number == 1
        assert m.room.uploads == []
        assert m.there.assembly.streams.open_count == 0


async def test_a_stream_that_is_given_up_while_it_waits_never_runs():
    async with met() as m:
        async with busy(m):
            upload = asyncio.create_task(m.client.upload(never()))
            await until(lambda: m.there.assembly.scheduler.waiting == 1)
            upload.cancel()
            await until(lambda: m.there.assembly.scheduler.waiting == 0)
        await m.client.say(pb.SayRequest())
        assert m.room.uploads == []
        assert m.there.assembly.streams.open_count == m.here.assembly.streams.open_count == 0


async def test_an_upload_whose_requests_are_all_sent_is_cancelled_with_its_caller():
    async with met() as m:
        m.room.waits = True
        upload = asyncio.create_task(m.client.upload(pieces()))
        await m.room.until("all read")
        upload.cancel()
        await m.room.until("cancelled")


async def test_an_upload_of_nothing_is_answered():
    async with met() as m:
        assert (await m.client.upload(pieces(0), timeout=10)).size_bytes == 1


async def test_a_channel_that_is_ended_and_opened_again_loses_nothing():
    async with met() as m:
        heard: list[bytes] = []
        may_go = asyncio.Event()

        async def take(chunk: object, sender: object) -> None:
            await may_go.wait()
            heard.append(chunk.data)  # type: ignore[attr-defined]

        m.there.ref.register_stream("telemetry", take)
        sent = []
        for part in range(3):
            writer = m.here.ref.open_stream(ROOM, "telemetry")
            for number in range(10):
                sent.append(bytes([part, number]))
                await writer.send(sent[-1])
            m.here.ref.close_stream(writer)
        may_go.set()
        await until(lambda: len(heard) >= 30)
        assert heard == sent
        await until(lambda: m.there.assembly.streams.open_count == 0)


async def test_a_consumer_that_takes_nothing_holds_a_bounded_number_of_bytes():
    async with met() as m:
        got = asyncio.Event()

        async def stuck(chunk: object, sender: object) -> None:
            got.set()
            await asyncio.Event().wait()

        m.there.ref.register_stream("c", stuck)
        writer = m.here.ref.open_stream(ROOM, "c")

        async def feed() -> None:
            while True:
                await writer.send(bytes(300_000))

        feeding = asyncio.create_task(feed())
        await got.wait()
        await until(lambda: writer.sent >= 4)
        await m.client.say(pb.SayRequest())  # what was sent before has come
        assert writer.sent <= 5
        (reader,) = m.there.assembly.streams._readers.values()
        assert sum(len(chunk.data) for chunk in reader._items) <= 1024 * 1024 + 300_000
        feeding.cancel()


async def test_an_item_too_long_costs_neither_credit_nor_a_number():
    async with met() as m:
        heard: list[int] = []
        m.there.ref.register_stream("c", lambda chunk, sender: heard.append(chunk.sequence))
        writer = m.here.ref.open_stream(ROOM, "c")
        for _ in range(65):
            with pytest.raises(LimitError):
                await writer.send(bytes(MAX_MESSAGE_BYTES))
        await writer.send(b"short")
        await until(lambda: heard == [0])


@pytest.mark.parametrize("method", ["messages", "cursors", "upload"])
async def test_the_timeout_of_a_stream_covers_its_opening(method: str):
    async with met() as m:

        async def dead(remote: object) -> None:
            await asyncio.Event().wait()

        setup = m.here.assembly.transport._setup
        object.__setattr__(setup, "dialers", dict.fromkeys(setup.dialers, dead))
        lane = m.here.assembly.transport.link(m.there.id).lane(PayloadType.RPC_RELIABLE)
        while lane.offer(bytes(1 << 20)):
            pass

        async def run() -> None:
            if method == "upload":
                await m.client.upload(never(), timeout=0.2)
            elif method == "messages":
                async for _ in m.client.messages(pb.MessagesRequest(), timeout=0.2):
                    pass
            else:
                async for _ in m.client.cursors(never(), timeout=0.2):  # type: ignore[arg-type]
                    pass

        with pytest.raises(UnreachableError, match="no wire to it came up in time"):
            await run()
        assert m.here.assembly.streams.open_count == 0


async def test_openings_that_wait_are_bounded_and_the_others_are_refused(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(stream_handlers, "WAITING_EACH", Places(256, 1 << 20))
    async with met() as m:
        async with busy(m):
            uploads = [asyncio.create_task(m.client.upload(never())) for _ in range(300)]
            await until(lambda: sum(upload.done() for upload in uploads) >= 44)
            assert m.there.assembly.stream_handlers.waiting == 256
            errors = [upload.exception() for upload in uploads if upload.done()]
            assert all(
                isinstance(error, CallError)
                and error.code is Code.RESOURCE_EXHAUSTED
                and error.retryable
                for error in errors
            )
            for upload in uploads:
                upload.cancel()
            await asyncio.gather(*uploads, return_exceptions=True)
            await until(lambda: m.there.assembly.stream_handlers.waiting == 0)
        assert m.here.assembly.streams.open_count == 0


async def test_a_reply_that_no_message_can_carry_is_an_error_to_its_caller_alone():
    async with met() as m:
        m.room.reply = pb.UploadReply(sha256="x" * MAX_MESSAGE_BYTES)
        other = asyncio.create_task(anext(m.client.presence(pb.PresenceRequest())))
        with pytest.raises(CallError) as refused:
            await m.client.upload(pieces())
        assert refused.value.code is Code.RESOURCE_EXHAUSTED
        assert (await other).present
        await m.client.say(pb.SayRequest())


async def test_unregistering_a_channel_ends_it_for_those_who_send():
    async with met() as m:
        got = asyncio.Event()
        unregister = m.there.ref.register_stream("c", lambda chunk, sender: got.set())
        writer = m.here.ref.open_stream(ROOM, "c")
        await writer.send(b"x")
        await got.wait()
        unregister()
        await until(lambda: writer.is_stopped)
        with pytest.raises(BrokenError):
            await writer.send(b"y")


async def test_streams_that_end_in_every_way_leave_no_half_on_either_side():
    async with met() as m:

        async def fails() -> AsyncIterator[pb.FilePiece]:
            yield pb.FilePiece(data=b"x")
            raise KeyError("the caller's own")

        async def leave() -> None:
            stream = m.client.presence(pb.PresenceRequest())
            await anext(stream)
            await stream.aclose()

        for _ in range(50):
            await m.client.upload(pieces())
            await leave()
            with suppress(KeyError):
                await m.client.upload(fails())
            upload = asyncio.create_task(m.client.upload(never()))
            await asyncio.sleep(0)
            upload.cancel()
            with suppress(DeadlineError):
                await m.client.upload(never(), timeout=0.005)
        for node in (m.here, m.there):
            await until(lambda node=node: node.assembly.streams.open_count == 0)
            assert not node.assembly.streams._per_remote
        await until(lambda: len(m.there.assembly.stream_handlers) == 0)
        assert len(m.here.assembly.calls) == 0


# By hand: a block that sends, a block that takes


async def test_a_stream_is_sent_in_one_block_and_taken_in_another():
    async with met() as m:
        taken: list[Chunk] = []
        senders: set[str] = set()

        async def take() -> None:
            async with m.there.ref.incoming("telemetry") as streams:
                async for stream in streams:
                    senders.add(str(stream.sender))
                    taken.extend([chunk async for chunk in stream])
                    if len(taken) == 200:
                        return

        taking = asyncio.create_task(take())
        await asyncio.sleep(0)
        for part in range(2):
            async with m.here.ref.stream(ROOM, "telemetry") as s:
                for number in range(100):
                    await s.send(b"%d" % (100 * part + number), {"part": str(part)})
        await taking
        assert [chunk.data for chunk in taken] == [b"%d" % number for number in range(200)]
        assert senders == {str(m.here.id)}
        assert taken[-1].metadata == {"part": "1"}
        await until(lambda: m.here.assembly.streams.open_count == 0)
        assert m.there.assembly.streams.open_count == 0


async def test_an_error_in_the_block_of_the_sender_is_the_end_of_the_stream():
    async with met() as m:
        ends: asyncio.Queue[tuple[StreamEnd, object]] = asyncio.Queue()
        m.there.ref.register_stream(
            "c",
            lambda chunk, sender: None,
            on_end=lambda end, sender: ends.put_nowait((end, sender)),
        )
        with suppress(ZeroDivisionError):
            async with m.here.ref.stream(ROOM, "c") as s:
                await s.send(b"0")
                await s.send(b"1")
                raise ZeroDivisionError
        end, sender = await ends.get()
        assert (end.channel_id, end.last_sequence, sender) == ("c", 1, m.here.id)
        assert isinstance(end.error, CallError)
        assert end.error.code is Code.ABORTED


async def test_a_sender_that_goes_away_is_told_with_the_last_item_of_its_stream():
    async with met() as m:
        came: asyncio.Queue[Chunk] = asyncio.Queue()

        async def take() -> None:
            async with m.there.ref.incoming("c") as streams:
                async for chunk in await anext(streams):
                    came.put_nowait(chunk)

        taking = asyncio.create_task(take())
        await asyncio.sleep(0)
        writer = m.here.ref.open_stream(ROOM, "c")
        for number in range(3):
            await writer.send(b"%d" % number)
        for _ in range(3):
            await came.get()
        m.there.assembly.streams.fail_link(
            m.there.assembly.transport.link(m.here.id), BrokenError("its process has restarted")
        )
        with pytest.raises(StreamFailedError) as failure:
            await taking
        assert failure.value.last_sequence == 2
        assert isinstance(failure.value.reason, BrokenError)


async def test_who_registers_behind_one_that_has_left_gets_what_is_opened_next_at_once():
    async with met() as m:
        old: list[bytes] = []
        new: asyncio.Queue[bytes] = asyncio.Queue()
        came = asyncio.Event()

        async def stuck(chunk: Chunk, sender: object) -> None:
            old.append(chunk.data)
            came.set()
            await asyncio.Event().wait()

        unregister = m.there.ref.register_stream("c", stuck)
        writer = m.here.ref.open_stream(ROOM, "c")
        for number in range(20):
            await writer.send(b"%d" % number)
        await came.wait()
        unregister()
        m.there.ref.register_stream("c", lambda chunk, sender: new.put_nowait(chunk.data))
        await until(lambda: writer.is_stopped)
        with pytest.raises(BrokenError):
            await writer.send(b"more")
        async with m.here.ref.stream(ROOM, "c") as s:
            await s.send(b"next")
        assert await new.get() == b"next"
        assert old == [b"0"]


async def test_two_senders_on_one_channel_of_one_remote_are_told_apart_at_once():
    async with met() as m:
        m.there.ref.register_stream("c", lambda chunk, sender: None)
        async with m.here.ref.stream(ROOM, "c"):
            with pytest.raises(BusyError, match="end that first"):
                async with m.here.ref.stream(ROOM, "c"):
                    pass
        async with m.here.ref.stream(ROOM, "c") as s:
            await s.send(b"x")
