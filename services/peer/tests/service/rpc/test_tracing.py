"""One trace over actors, by OpenTelemetry's SDK: whose child each handler's span is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer import ActrId, Context, System
from actr_peer.protocol.streams.chunks import Chunk
from actr_peer.service import Caller
from lab.quiet import Quiet
from peer_kit.place import Place
from peer_kit.signaling import config

pytestmark = pytest.mark.service

PATIENCE = 60.0


class Ended(SpanProcessor):
    """Spans that have ended, by name."""

    def __init__(self) -> None:
        self.spans: dict[str, ReadableSpan] = {}
        self._changed = asyncio.Event()

    def on_end(self, span: ReadableSpan) -> None:
        assert span.name not in self.spans
        self.spans[span.name] = span
        self._changed.set()

    async def all(self, *names: str) -> list[ReadableSpan]:
        """The spans of these names, when all have ended."""
        async with asyncio.timeout(PATIENCE):
            while not set(names) <= set(self.spans):
                self._changed.clear()
                await self._changed.wait()
        return [self.spans[name] for name in names]

    async def chain(self, *names: str) -> None:
        """Hold that each of the spans is the child of the one before, the first of none."""
        spans = await self.all(*names)
        assert len({trace_of(span) for span in spans}) == 1
        parents = [span.parent.span_id if span.parent else None for span in spans]
        assert parents == [None, *(span.context.span_id for span in spans[:-1])]


def trace_of(span: ReadableSpan) -> int:
    return span.context.trace_id


@pytest.fixture
def ended() -> Ended:
    return Ended()


@pytest.fixture
def tracer(ended: Ended) -> trace.Tracer:
    provider = TracerProvider()
    provider.add_span_processor(ended)
    return provider.get_tracer("test")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Place(tmp_path_factory.mktemp("realm")).signaling() as url:
        yield url


class Room(Quiet):
    """Makes a span in each handler, and calls the next of the actors that a text names."""

    def __init__(self, tracer: trace.Tracer, name: str = "handler") -> None:
        self._tracer = tracer
        self._name = name
        self.is_silent = False
        self.current: list[trace.SpanContext] = []

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        self.current.append(trace.get_current_span().get_span_context())
        if self.is_silent:
            return await self._next(request, ctx)
        with self._tracer.start_as_current_span(self._name):
            return await self._next(request, ctx)

    async def _next(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        name, _, rest = request.text.partition(" ")
        if name:
            client = ChatClient(ctx.to(f"acme:{name}@1:default"))
            return await client.say(pb.SayRequest(text=rest))
        return pb.SayReply()

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        with self._tracer.start_as_current_span(self._name):
            async for _ in requests:
                await asyncio.sleep(0)
        return pb.UploadReply()

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        with self._tracer.start_as_current_span(self._name):
            yield pb.PresenceChange()
            await asyncio.sleep(0)
            yield pb.PresenceChange()

    async def cursors(
        self, requests: AsyncIterator[pb.CursorMove], ctx: Context
    ) -> AsyncIterator[pb.CursorMove]:
        with self._tracer.start_as_current_span(self._name):
            async for move in requests:
                yield move


async def call(client: ChatClient) -> None:
    await client.say(pb.SayRequest())


async def tell(client: ChatClient) -> None:
    await client.tell(ChatService.SAY, pb.SayRequest())


async def durable_call(client: ChatClient) -> None:
    await client.say(pb.SayRequest(), durable="key")


async def durable_tell(client: ChatClient) -> None:
    await client.tell(ChatService.SAY, pb.SayRequest(), durable=True)


async def server_stream(client: ChatClient) -> None:
    _ = [change async for change in client.presence(pb.PresenceRequest())]


async def client_stream(client: ChatClient) -> None:
    async def pieces() -> AsyncIterator[pb.FilePiece]:
        yield pb.FilePiece(data=b"x")

    await client.upload(pieces())


async def bidi_stream(client: ChatClient) -> None:
    async def moves() -> AsyncIterator[pb.CursorMove]:
        yield pb.CursorMove(x=1)

    _ = [move async for move in client.cursors(moves())]


CALLS = [call, tell, durable_call, durable_tell, server_stream, client_stream, bidi_stream]


@asynccontextmanager
async def met(url: str, way: str, room: Room, folder: Path) -> AsyncIterator[Caller]:
    async with System(config("room", url, mailbox_path=folder / "room.db")).attach(room) as there:
        if way == "websocket":
            kept = config("caller", url, mailbox_path=folder / "caller.db")
            async with System(kept).attach(Quiet()) as here:
                yield here.ref.to("acme:room@1:default")
        else:
            yield there.ref if way == "direct" else there.ref.to_self()


@pytest.mark.parametrize("way", ["direct", "complete", "websocket"])
@pytest.mark.parametrize("calls", CALLS, ids=lambda calls: calls.__name__)
async def test_a_handlers_span_is_the_child_of_its_callers(
    url: str,
    way: str,
    calls: Callable[[ChatClient], Awaitable[None]],
    tracer: trace.Tracer,
    ended: Ended,
    tmp_path: Path,
) -> None:
    async with met(url, way, Room(tracer), tmp_path) as caller:
        with tracer.start_as_current_span("caller"):
            await calls(ChatClient(caller))
        await ended.chain("caller", "handler")


@asynccontextmanager
async def three(url: str, tracer: trace.Tracer) -> AsyncIterator[tuple[Caller, list[Room]]]:
    rooms = [Room(tracer, name) for name in ("first", "second", "third")]
    async with (
        System(config("third", url)).attach(rooms[2]),
        System(config("second", url)).attach(rooms[1]),
        System(config("first", url)).attach(rooms[0]) as here,
    ):
        yield here.ref, rooms


async def test_nested_calls_over_three_actors_are_one_trace(
    url: str, tracer: trace.Tracer, ended: Ended
) -> None:
    async with three(url, tracer) as (caller, _):
        with tracer.start_as_current_span("caller"):
            await ChatClient(caller).say(pb.SayRequest(text="second third"))
        await ended.chain("caller", "first", "second", "third")


async def test_an_actor_that_makes_no_span_passes_its_callers_on(
    url: str, tracer: trace.Tracer, ended: Ended
) -> None:
    async with three(url, tracer) as (caller, rooms):
        rooms[1].is_silent = True
        with tracer.start_as_current_span("caller"):
            await ChatClient(caller).say(pb.SayRequest(text="second third"))
        await ended.chain("caller", "first", "third")


@pytest.mark.parametrize("way", ["direct", "complete", "websocket"])
async def test_a_request_without_a_trace_is_in_no_span_of_another_nor_of_the_nodes_start(
    url: str, way: str, tracer: trace.Tracer, ended: Ended, tmp_path: Path
) -> None:
    room = Room(tracer)
    room.is_silent = True
    with tracer.start_as_current_span("start"):
        meeting = met(url, way, room, tmp_path)
        client = ChatClient(await meeting.__aenter__())
    try:
        await client.say(pb.SayRequest())
        with tracer.start_as_current_span("caller"):
            await client.say(pb.SayRequest())
        await client.say(pb.SayRequest())
    finally:
        await meeting.__aexit__(None, None, None)
    (caller,) = await ended.all("caller")
    assert [context.trace_id for context in room.current] == [0, trace_of(caller), 0]


async def test_a_handlers_calls_to_the_shell_are_its_children_and_the_next_ones_are_not(
    url: str, tracer: trace.Tracer, ended: Ended
) -> None:
    shell = Room(tracer, "shell")

    class Asking(Room):
        async def _next(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
            return await ChatClient(ctx.shell).say(pb.SayRequest())

    room = Asking(tracer)
    async with System(config("room", url)).attach(room) as here:
        here.ref.serve(shell)
        with tracer.start_as_current_span("caller"):
            await ChatClient(here.ref).say(pb.SayRequest())
        await ended.chain("caller", "handler", "shell")
        room.is_silent = shell.is_silent = True
        await ChatClient(here.ref).say(pb.SayRequest())
    assert shell.current[1].trace_id == 0


async def test_a_callback_for_items_is_not_in_the_span_of_the_call_that_made_the_link(
    url: str, tracer: trace.Tracer
) -> None:
    found: asyncio.Queue[int] = asyncio.Queue()

    async def take(item: Chunk, sender: ActrId) -> None:
        found.put_nowait(trace.get_current_span().get_span_context().trace_id)

    async with (
        System(config("room", url)).attach(Quiet()) as there,
        System(config("caller", url)).attach(Quiet()) as here,
    ):
        here.ref.register_stream("items", take)
        with tracer.start_as_current_span("caller"):
            await call(ChatClient(here.ref.to("acme:room@1:default")))
        async with there.ref.stream("acme:caller@1:default", "items") as stream:
            await stream.send(b"item")
        assert await asyncio.wait_for(found.get(), PATIENCE) == 0


async def test_a_durable_call_that_waits_through_a_restart_is_in_the_trace_that_made_it(
    url: str, tmp_path: Path, tracer: trace.Tracer, ended: Ended
) -> None:
    path = str(tmp_path / "mailbox.db")
    async with System(config("caller", url, mailbox_path=path)).attach(Quiet()) as here:
        with tracer.start_as_current_span("caller"):
            await durable_tell(ChatClient(here.ref.to("acme:room@1:default")))
    async with (
        System(config("room", url)).attach(Room(tracer)),
        System(config("caller", url, mailbox_path=path)).attach(Quiet()),
    ):
        await ended.chain("caller", "handler")
