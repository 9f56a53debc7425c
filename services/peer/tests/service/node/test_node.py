"""Two actors in one process, introduced by a real signaling service, over real wires."""

from __future__ import annotations

import asyncio
import gc
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer import ActrId, CallError, Code, Context, NodeConfig, System, WireKind
from actr_peer.errors import (
    BrokenError,
    ClosedError,
    ConfigError,
    DeadlineError,
    LimitError,
    LocalProtocolError,
    PeerError,
    UnreachableError,
)
from actr_peer.node.hooks import WireEvent
from actr_peer.protocol.media.frames import MediaFrame
from actr_peer.protocol.payload import MAX_MESSAGE_BYTES
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.service import CallOptions
from peer_kit.signaling import signaling_service

pytestmark = pytest.mark.service

BOTH = (WireKind.WEBRTC, WireKind.WEBSOCKET)
WIRES = [
    pytest.param((WireKind.WEBRTC,), id="webrtc"),
    pytest.param((WireKind.WEBSOCKET,), id="websocket"),
]


class Room(ChatService):
    """A room that remembers what it is told."""

    def __init__(self) -> None:
        self.lines: list[pb.ChatMessage] = []
        self.callers: list[str] = []
        self.cancelled = asyncio.Event()
        self.started = asyncio.Event()

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        self.callers.append(str(ctx.caller))
        line = pb.ChatMessage(number=len(self.lines) + 1, author=request.author, text=request.text)
        self.lines.append(line)
        return pb.SayReply(number=line.number)

    async def history(self, request: pb.HistoryRequest, ctx: Context) -> pb.HistoryReply:
        return pb.HistoryReply(messages=self.lines)

    async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
        match request.who:
            case "nobody":
                raise CallError(Code.NOT_FOUND, "no such guest", domain="chat")
            case "bug":
                raise KeyError("inside")
            case "slow":
                self.started.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.cancelled.set()
                    raise
        return pb.KickReply(was_present=True)

    async def messages(
        self, request: pb.MessagesRequest, ctx: Context
    ) -> AsyncIterator[pb.ChatMessage]:
        try:
            for number in range(request.test_lines or 1_000_000):
                yield pb.ChatMessage(number=number)
                if not request.test_lines:
                    await asyncio.sleep(0.01)
        finally:
            self.cancelled.set()

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        digest, size = hashlib.sha256(), 0
        async for piece in requests:
            digest.update(piece.data)
            size += len(piece.data)
        return pb.UploadReply(size_bytes=size, sha256=digest.hexdigest())

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        yield pb.PresenceChange(who="ann", present=True)

    async def cursors(
        self, requests: AsyncIterator[pb.CursorMove], ctx: Context
    ) -> AsyncIterator[pb.CursorMove]:
        async for move in requests:
            yield pb.CursorMove(who=move.who, x=move.x + 1, y=move.y)


@pytest.fixture
async def signaling() -> AsyncIterator[str]:
    """The URL of a signaling service that runs as a process of its own."""
    async with signaling_service() as url:
        yield url


def config(name: str, url: str, prefer: tuple[WireKind, ...] = BOTH) -> NodeConfig:
    return NodeConfig(
        id=ActrId("acme", name, "1"), signaling_url=url, prefer=prefer, call_timeout=20
    )


@asynccontextmanager
async def meeting(
    url: str, prefer: tuple[WireKind, ...] = BOTH
) -> AsyncIterator[tuple[Room, ChatClient, object]]:
    room = Room()
    async with (
        System(config("room", url, prefer)).attach(room) as there,
        System(config("caller", url, prefer)).attach(Room()) as here,
    ):
        yield room, ChatClient(here.ref.to("acme:room@1:default")), (here, there)


@pytest.mark.parametrize("prefer", WIRES)
async def test_all_four_kinds_of_method_work(signaling: str, prefer):
    async with meeting(signaling, prefer) as (room, client, _):
        assert (await client.say(pb.SayRequest(author="ann", text="hi"))).number == 1
        assert room.callers == ["acme:caller@1:default"]
        history = await client.history(pb.HistoryRequest())
        assert [line.text for line in history.messages] == ["hi"]
        changes = [change async for change in client.presence(pb.PresenceRequest())]
        assert [change.who for change in changes] == ["ann"]
        pieces = [b"x" * 40_000 for _ in range(50)]

        async def upload() -> AsyncIterator[pb.FilePiece]:
            for piece in pieces:
                yield pb.FilePiece(data=piece)

        reply = await client.upload(upload())
        assert reply.size_bytes == 2_000_000
        assert reply.sha256 == hashlib.sha256(b"".join(pieces)).hexdigest()

        async def moves() -> AsyncIterator[pb.CursorMove]:
            for number in range(5):
                yield pb.CursorMove(who="ann", x=number)

        echoed = [move.x async for move in client.cursors(moves())]
        assert sorted(echoed) == [1, 2, 3, 4, 5]
        numbers = [m.number async for m in client.messages(pb.MessagesRequest(test_lines=20))]
        assert len(set(numbers)) == len(numbers)
        assert numbers


@pytest.mark.parametrize("prefer", WIRES)
async def test_a_message_of_several_megabytes_arrives_whole(signaling: str, prefer):
    async with meeting(signaling, prefer) as (room, client, _):
        text = "x" * 3_000_000
        await client.say(pb.SayRequest(text=text))
        assert room.lines[0].text == text


async def test_a_start_spares_the_collector_what_is_there(signaling: str):
    async with System(config("one", signaling)).attach(Room()):
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] >= 5000


async def test_errors_of_handlers_are_typed_and_the_actor_lives_on(signaling: str):
    async with meeting(signaling) as (_, client, _):
        with pytest.raises(CallError, match="no such guest") as refused:
            await client.kick(pb.KickRequest(who="nobody"))
        assert (refused.value.code, refused.value.domain) == (Code.NOT_FOUND, "chat")
        with pytest.raises(CallError, match="KeyError") as failed:
            await client.kick(pb.KickRequest(who="bug"))
        assert failed.value.code is Code.INTERNAL
        assert (await client.kick(pb.KickRequest(who="ann"))).was_present


async def test_a_call_that_takes_too_long_fails_at_its_deadline_and_its_handler_ends(
    signaling: str,
):
    async with meeting(signaling) as (room, client, _):
        await client.history(pb.HistoryRequest())
        for timeout in (0.5, 2.0, 8.0):
            # Of two processes' timers the handler's may be the first, and tell by its reply.
            with pytest.raises((DeadlineError, CallError)) as failure:
                await client.kick(pb.KickRequest(who="slow"), timeout=timeout)
            if isinstance(failure.value, CallError):
                assert failure.value.code is Code.DEADLINE_EXCEEDED
            if room.started.is_set():
                break  # else the time was over before its turn, as on a busy machine
        async with asyncio.timeout(60):
            await room.cancelled.wait()


async def test_cancelling_a_call_cancels_its_handler(signaling: str):
    async with meeting(signaling) as (room, client, _):
        call = asyncio.create_task(client.kick(pb.KickRequest(who="slow")))
        async with asyncio.timeout(60):
            await room.started.wait()
        call.cancel()
        async with asyncio.timeout(60):
            await room.cancelled.wait()


async def test_leaving_a_stream_early_ends_its_handler(signaling: str):
    async with meeting(signaling) as (room, client, (here, _there)):
        stream = client.messages(pb.MessagesRequest())
        await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(60):
            await room.cancelled.wait()
        assert here.assembly.streams.open_count == 0


async def test_an_unknown_actor_is_unreachable(signaling: str):
    async with meeting(signaling) as (_, _, (here, _)):
        stranger = ChatClient(here.ref.to("acme:nobody@1:default"))
        with pytest.raises((UnreachableError, DeadlineError)):
            await stranger.history(pb.HistoryRequest(), timeout=15)


async def test_an_actor_of_another_realm_is_unreachable(signaling: str):
    async with meeting(signaling) as (_, _, (here, _)):
        stranger = ChatClient(here.ref.to("acme:room@1:other"))
        with pytest.raises((UnreachableError, DeadlineError)):
            await stranger.history(pb.HistoryRequest(), timeout=15)


async def test_an_unknown_method_is_unimplemented_and_kept_as_a_dead_letter(signaling: str):
    async with meeting(signaling) as (_, client, (here, _)):
        strange = replace(ChatService.SAY, route_key="demo.Chat.Sing")
        with pytest.raises(CallError) as refused:
            await here.ref.to("acme:room@1:default").unary(
                strange, pb.SayRequest(), CallOptions(timeout=10)
            )
        assert refused.value.code is Code.UNIMPLEMENTED
        await client.history(pb.HistoryRequest())


async def test_a_message_over_the_limit_is_refused_at_the_sender(signaling: str):
    async with meeting(signaling) as (_, client, _):
        with pytest.raises(LimitError):
            await client.say(pb.SayRequest(text="x" * (17 * 1024 * 1024)))
        await client.history(pb.HistoryRequest())


async def test_the_shell_and_the_workload_exchange_the_very_objects(signaling: str):
    seen: list[object] = []

    class Desk(Room):
        async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
            seen.append(request)
            if request.text == "ask the shell":
                return await ChatClient(ctx.shell).say(pb.SayRequest(text="from inside"))
            return pb.SayReply(number=7)

    class Shell(Room):
        async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
            seen.append(request)
            return pb.SayReply(number=42)

    async with System(config("desk", signaling)).attach(Desk()) as node:
        node.ref.serve(Shell())
        client = ChatClient(node.ref)
        request = pb.SayRequest(text="hello")
        assert (await client.say(request)).number == 7
        assert seen[0] is request
        assert (await client.say(pb.SayRequest(text="ask the shell"))).number == 42
        changes = [change async for change in client.presence(pb.PresenceRequest())]
        assert len(changes) == 1


async def test_raw_streams_reach_a_registered_callback_in_order(signaling: str):
    async with meeting(signaling) as (_, _, (here, there)):
        received: list[bytes] = []
        done = asyncio.Event()

        def take(chunk, sender) -> None:
            received.append(chunk.data)
            if len(received) == 200:
                done.set()

        there.ref.register_stream("telemetry", take)
        writer = here.ref.open_stream("acme:room@1:default", "telemetry")
        for number in range(200):
            await writer.send(str(number).encode())
        async with asyncio.timeout(60):
            await done.wait()
        assert received == [str(number).encode() for number in range(200)]
        here.ref.close_stream(writer)


async def test_media_arrives_as_whole_frames_beside_data(signaling: str):
    from actr_peer.wire.media.sources import TestPattern

    class Asked(TestPattern):
        asked = asyncio.Event()

        def request_keyframe(self) -> None:
            self.asked.set()
            super().request_keyframe()

    async with meeting(signaling, BOTH) as (_, client, (here, there)):
        await client.say(pb.SayRequest(text="data first"))
        frames: list[MediaFrame] = []
        enough = asyncio.Event()

        def take(frame: MediaFrame, sender: ActrId) -> None:
            frames.append(frame)
            if len(frames) >= 10:
                enough.set()

        there.ref.register_media(None, take)
        source = Asked(track_id="camera")
        publication = await here.ref.publish("acme:room@1:default", source, timeout=15)
        async with asyncio.timeout(60):
            await enough.wait()
            source.asked.clear()  # a new track's receiver asks by itself
            there.ref.request_keyframe("acme:caller@1:default", "camera")
            await source.asked.wait()
        there.ref.request_keyframe("acme:nobody@1:default", "camera")
        await publication.stop()
        assert {frame.codec for frame in frames} == {"VP8"}
        await client.say(pb.SayRequest(text="data after"))


async def test_closing_a_node_fails_its_calls_and_leaves_no_task(signaling: str):
    before = asyncio.all_tasks()
    async with meeting(signaling) as (_, client, (here, _)):
        await client.history(pb.HistoryRequest())
        call = asyncio.create_task(client.kick(pb.KickRequest(who="slow")))
        await asyncio.sleep(0)
        await here.ref.close()
        with pytest.raises(PeerError) as caught:
            await call
        assert isinstance(caught.value, ClosedError | BrokenError)
        with pytest.raises(ClosedError):
            here.ref.to("acme:room@1:default")
    assert asyncio.all_tasks() == before


async def test_a_tell_reaches_its_handler_and_a_stream_cannot_be_told(signaling: str):
    async with meeting(signaling) as (room, client, _):
        await client.tell(ChatService.SAY, pb.SayRequest(text="no reply"))
        await client.history(pb.HistoryRequest())
        assert room.lines[0].text == "no reply"
        with pytest.raises(LocalProtocolError):
            await client.tell(ChatService.UPLOAD, pb.FilePiece())


async def test_a_call_cycle_is_answered_with_a_named_error(signaling: str):
    class Ring(Room):
        async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
            return await ChatClient(ctx.to(ctx.caller)).say(request, timeout=10)

    async with (
        System(config("room", signaling)).attach(Ring()),
        System(config("caller", signaling)).attach(Ring()) as here,
    ):

        class Shell(Room):
            pass

        here.ref.serve(Shell())
        with pytest.raises(CallError) as refused:
            # The own handler calls the room, whose handler calls back while it waits.
            await here.ref.to("acme:room@1:default").unary(
                ChatService.SAY, pb.SayRequest(), CallOptions(timeout=15)
            )
        assert refused.value.code is not None


async def test_a_deferred_reply_lets_the_actor_take_its_next_request(signaling: str):
    class Later(Room):
        async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
            if request.text != "later":
                return pb.SayReply(number=1)
            reply = ctx.defer()
            asyncio.get_running_loop().call_later(0.3, reply.send, pb.SayReply(number=2))
            later: pb.SayReply = reply.later
            return later

    async with (
        System(config("room", signaling)).attach(Later()),
        System(config("caller", signaling)).attach(Room()) as here,
    ):
        client = ChatClient(here.ref.to("acme:room@1:default"))
        slow = asyncio.create_task(client.say(pb.SayRequest(text="later")))
        await client.say(pb.SayRequest(text="warm"))
        assert not slow.done() or (await slow).number == 2
        assert (await client.say(pb.SayRequest(text="now"))).number == 1
        assert (await slow).number == 2


async def test_a_durable_call_is_answered_once_and_its_key_asks_again(signaling: str, tmp_path):
    import dataclasses

    room = Room()
    caller = dataclasses.replace(config("caller", signaling), mailbox_path=tmp_path / "caller.db")
    async with System(config("room", signaling)).attach(room):
        async with System(caller).attach(Room()) as here:
            client = ChatClient(here.ref.to("acme:room@1:default"))
            first = await client.say(pb.SayRequest(text="once"), durable="order-1")
            again = await client.say(pb.SayRequest(text="once"), durable="order-1")
            assert first == again
            assert here.ref.durable_keys() == ["order-1"]
        async with System(caller).attach(Room()) as here:
            client = ChatClient(here.ref.to("acme:room@1:default"))
            assert await client.say(pb.SayRequest(text="once"), durable="order-1") == first
            here.ref.forget_call("order-1")
            assert here.ref.durable_keys() == []
        assert len(room.lines) == 1


async def test_a_stream_that_a_handler_opens_has_the_handlers_deadline(signaling: str):
    class Source(Room):
        remaining: float | None = None

        async def messages(
            self, request: pb.MessagesRequest, ctx: Context
        ) -> AsyncIterator[pb.ChatMessage]:
            self.remaining = ctx.remaining()
            yield pb.ChatMessage(text="first")

    class Relay(Room):
        async def history(self, request: pb.HistoryRequest, ctx: Context) -> pb.HistoryReply:
            source_client = ChatClient(ctx.to("acme:source@1:default"))
            return pb.HistoryReply(
                messages=[line async for line in source_client.messages(pb.MessagesRequest())]
            )

    source = Source()
    async with (
        System(config("source", signaling)).attach(source),
        System(config("relay", signaling)).attach(Relay()),
        System(config("caller", signaling)).attach(Room()) as here,
    ):
        client = ChatClient(here.ref.to("acme:relay@1:default"))
        reply = await client.history(pb.HistoryRequest(), timeout=7)
        assert [line.text for line in reply.messages] == ["first"]
        assert source.remaining is not None
        assert 0 < source.remaining <= 7


class Gate(Room):
    """It answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = asyncio.Event()

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        self.started.set()
        await self.is_open.wait()
        return await super().say(request, ctx)


def keeping(url: str, folder: Path) -> NodeConfig:
    return replace(config("caller", url), mailbox_path=folder / "mailbox.db")


@pytest.mark.parametrize("way", ["to a remote", "inside", "a tell"])
async def test_a_durable_call_without_a_file_is_refused_and_nothing_is_sent(
    signaling: str, way: str
):
    async with meeting(signaling) as (room, client, (here, _)):
        if way == "a tell":
            asked = client.tell(ChatService.SAY, pb.SayRequest(), durable=True)
        else:
            called = ChatClient(here.ref) if way == "inside" else client
            asked = called.say(pb.SayRequest(), durable="order")
        with pytest.raises(ConfigError, match=r"demo\.Chat\.Say: .* name one in mailbox\.path"):
            await asked
        assert here.ref.durable_keys() == []
        assert here.assembly.transport.links() == []
        assert room.lines == []


async def test_nothing_is_kept_of_a_durable_call_whose_caller_has_left(
    signaling: str, tmp_path: Path
):
    gate = Gate()
    async with (
        System(config("room", signaling)).attach(gate),
        System(keeping(signaling, tmp_path)).attach(Room()) as here,
    ):
        client = ChatClient(here.ref.to("acme:room@1:default"))
        left = asyncio.create_task(client.say(pb.SayRequest(text="left"), durable=True))
        await gate.started.wait()
        left.cancel()
        for timeout in (0.01, 0.1, 1.0, 10.0):  # what is not on disk by then is not kept
            with pytest.raises(DeadlineError) as late:
                await client.say(pb.SayRequest(text="late"), durable=True, timeout=timeout)
            if "is kept" in str(late.value):
                break
        assert "is kept" in str(late.value)
        gate.is_open.set()
        assert (await client.say(pb.SayRequest(text="last"), durable=True)).number == 3
        assert here.ref.durable_keys() == []


async def test_a_durable_call_that_is_too_long_is_refused_and_not_kept(
    signaling: str, tmp_path: Path
):
    async with (
        System(config("room", signaling)).attach(Room()),
        System(keeping(signaling, tmp_path)).attach(Room()) as here,
    ):
        client = ChatClient(here.ref.to("acme:room@1:default"))
        with pytest.raises(LimitError):
            await client.say(pb.SayRequest(text="x" * MAX_MESSAGE_BYTES), durable=True)
        with pytest.raises(CallError) as refused:  # with its envelope it is too long
            await client.say(pb.SayRequest(text="x" * (MAX_MESSAGE_BYTES - 16)), durable=True)
        assert refused.value.code is Code.RESOURCE_EXHAUSTED
        assert here.ref.durable_keys() == []
        assert (await client.say(pb.SayRequest(text="short"), durable=True)).number == 1


async def test_a_node_that_closes_says_so_to_who_waits_for_a_durable_call(
    signaling: str, tmp_path: Path
):
    gate = Gate()
    async with System(config("room", signaling)).attach(gate):
        async with System(keeping(signaling, tmp_path)).attach(Room()) as here:
            client = ChatClient(here.ref.to("acme:room@1:default"))
            waiting = asyncio.create_task(client.say(pb.SayRequest(text="a"), durable=True))
            await gate.started.wait()
        with pytest.raises(ClosedError):
            await waiting
        gate.is_open.set()


async def test_a_gate_that_does_not_wait_fails_at_once_while_the_link_is_mended(signaling: str):
    lost = asyncio.Event()

    class Caller(Room):
        async def on_wire(self, event: WireEvent) -> None:
            if event.state is not WireState.READY:
                lost.set()

    prefer = (WireKind.WEBSOCKET,)
    async with (
        System(config("room", signaling, prefer)).attach(Room()) as there,
        System(config("caller", signaling, prefer)).attach(Caller()) as here,
    ):
        client = ChatClient(here.ref.to("acme:room@1:default"))
        await client.history(pb.HistoryRequest())
        impatient = ChatClient(here.ref.to("acme:room@1:default", wait_for_ready=False))
        await impatient.history(pb.HistoryRequest())
        lost.clear()
        await there.assembly.network.websocket.__aexit__(None, None, None)
        async with asyncio.timeout(60):
            await lost.wait()

        async def open_stream() -> None:
            async for _ in impatient.messages(pb.MessagesRequest(), timeout=60):
                raise AssertionError("nobody is there to send it")

        for call in (
            impatient.history(pb.HistoryRequest(), timeout=60),
            impatient.tell(ChatService.SAY, pb.SayRequest()),
            open_stream(),
        ):
            with pytest.raises(CallError) as refused:
                await call
            assert refused.value.code is Code.UNAVAILABLE
            assert refused.value.retry_after


async def test_a_silent_link_stays_while_something_waits_for_it(signaling: str):
    async with meeting(signaling, (WireKind.WEBSOCKET,)) as (room, client, (here, there)):
        await client.history(pb.HistoryRequest())
        link = here.assembly.transport.find(there.id)
        assert not link._setup.in_use(link)
        call = asyncio.create_task(client.kick(pb.KickRequest(who="slow")))
        async with asyncio.timeout(60):
            await room.started.wait()
        assert link._setup.in_use(link)
        call.cancel()
        stream = client.messages(pb.MessagesRequest())
        await anext(stream)
        assert link._setup.in_use(link)
        back = there.assembly.transport.find(here.id)
        assert back._setup.in_use(back)
        await stream.aclose()
        assert not link._setup.in_use(link)
