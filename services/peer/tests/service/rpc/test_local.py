"""What a call means does not depend on the gate: one suite for all ways to an actor.

``direct`` hands objects over inside the process, ``complete`` goes by the own mailbox, and
``websocket`` to another actor over a real wire. Where they differ on purpose:

* the very message arrives, so that who changes it later changes it for both (``direct``);
* the caller of a call from inside the process is the own id;
* inside the process no length of a message is too long, for none is made;
* only what a mailbox keeps has a transaction, and can be deferred (``complete``, ``websocket``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr.services.reflection_actr import ReflectionClient
from actr.services.reflection_pb2 import DescribeRequest
from actr_peer import CallError, Code, Context, System
from actr_peer.errors import DeadlineError, LimitError, LocalProtocolError
from actr_peer.node.node import Node
from actr_peer.protocol.payload import PayloadType
from actr_peer.service import Caller, CallOptions
from lab.quiet import Quiet
from peer_kit.place import Place
from peer_kit.signaling import config

pytestmark = pytest.mark.service

ROOM = "acme:room@1:default"
PATIENCE = 60.0
SHORT = 0.3
"""A deadline that passes."""
WHO = ContextVar("WHO", default="nobody")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Place(tmp_path_factory.mktemp("realm")).signaling() as url:
        yield url


class Room(Quiet):
    """Does what a test says, and notes what becomes of it."""

    METHODS = (replace(ChatService.HISTORY, conflict_key="limit", handler_timeout=SHORT),)

    def __init__(self) -> None:
        self.notes: list[Any] = []
        self.changed = asyncio.Condition()
        self.act: Callable[[Context], Awaitable[Any]] = self.nothing

    async def nothing(self, ctx: Context) -> pb.KickReply:
        return pb.KickReply(was_present=True)

    async def note(self, what: Any) -> None:
        self.notes.append(what)
        async with self.changed:
            self.changed.notify_all()

    async def until(self, what: Any) -> None:
        async with asyncio.timeout(PATIENCE), self.changed:
            await self.changed.wait_for(lambda: what in self.notes)

    async def hang(self, ctx: Context) -> Any:
        await self.note("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await self.note("cancelled")
            raise

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        await self.note(request.text)
        return pb.SayReply(number=len(self.notes))

    async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
        reply: pb.KickReply = await self.act(ctx)
        return reply

    async def history(self, request: pb.HistoryRequest, ctx: Context) -> pb.HistoryReply:
        await self.act(ctx)
        return pb.HistoryReply()

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        """Reliable: as many as the caller takes."""
        number = 0
        try:
            if self.act != self.nothing:
                yield pb.PresenceChange(who="first")
                yield await self.act(ctx)
            while self.act == self.nothing and number < 1000:
                yield pb.PresenceChange(who=str(number))
                number += 1
        finally:
            await self.note(("given", number))

    async def messages(
        self, request: pb.MessagesRequest, ctx: Context
    ) -> AsyncIterator[pb.ChatMessage]:
        """Latency-first: as many as are asked for at once, and one later."""
        for number in range(request.test_lines):
            yield pb.ChatMessage(number=number)
        await asyncio.sleep(2 * SHORT)
        yield pb.ChatMessage(number=999)

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        if self.act != self.nothing:
            reply: pb.UploadReply = await self.act(ctx)
            return reply
        size = 0
        try:
            async for piece in requests:
                size += len(piece.data)
        except (CallError, asyncio.CancelledError) as exc:
            await self.note(getattr(exc, "code", Code.ABORTED))  # word of the leaving overtakes it
            raise
        return pb.UploadReply(size_bytes=size)


@dataclass
class Met:
    """An actor, and a way to it."""

    room: Room
    there: Node
    caller: Caller
    name: str
    nodes: list[Node] = field(default_factory=list)

    @property
    def client(self) -> ChatClient:
        return ChatClient(self.caller)

    @property
    def caller_id(self) -> str:
        return str(self.nodes[-1].id)

    def open_streams(self) -> int:
        """Bodies and halves that any of the actors has."""
        return sum(
            len(node.assembly.workload.bodies)
            + len(node.assembly.shell.bodies)
            + len(node.assembly.stream_handlers)
            + node.assembly.streams.open_count
            for node in self.nodes
        )


@asynccontextmanager
async def meeting(url: str, name: str, **more: Any) -> AsyncIterator[Met]:
    room = Room()
    async with System(config("room", url, close_timeout=2.0, **more)).attach(room) as there:
        if name == "websocket":
            async with System(config("caller", url, close_timeout=2.0)).attach(Quiet()) as here:
                yield Met(room, there, here.ref.to(ROOM), name, [there, here])
        else:
            caller = there.ref if name == "direct" else there.ref.to_self()
            yield Met(room, there, caller, name, [there])


@pytest.fixture(params=["direct", "complete", "websocket"])
async def met(request: pytest.FixtureRequest, url: str) -> AsyncIterator[Met]:
    async with meeting(url, request.param) as met:
        yield met
        async with asyncio.timeout(PATIENCE):
            while met.open_streams():  # noqa: ASYNC110 - nobody reports it
                await asyncio.sleep(0.01)
        assert [node.failure for node in met.nodes] == [None] * len(met.nodes)


@pytest.fixture(params=["direct", "complete", "websocket"])
async def kept(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> AsyncIterator[Met]:
    async with meeting(url, request.param, mailbox_path=tmp_path / "room.db") as met:
        yield met


async def cancel_oneself(ctx: Context | None = None) -> Any:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def pieces(count: int = 3) -> AsyncIterator[pb.FilePiece]:
    for _ in range(count):
        yield pb.FilePiece(data=b"xy")


async def never() -> AsyncIterator[pb.FilePiece]:
    await asyncio.Event().wait()
    yield pb.FilePiece()


async def unary(client: ChatClient, **options: Any) -> Any:
    return await client.kick(pb.KickRequest(), **options)


async def server_stream(client: ChatClient, **options: Any) -> Any:
    return [change.who async for change in client.presence(pb.PresenceRequest(), **options)]


async def client_stream(client: ChatClient, **options: Any) -> Any:
    return await client.upload(pieces(), **options)


async def bidi_stream(client: ChatClient, **options: Any) -> Any:
    async def moves() -> AsyncIterator[pb.CursorMove]:
        for number in range(5):
            yield pb.CursorMove(x=number)

    return [move.x async for move in client.cursors(moves(), **options)]


KINDS = (unary, server_stream, client_stream)


async def test_all_kinds_of_method_give_what_the_handler_gives(met: Met) -> None:
    assert (await unary(met.client)).was_present
    assert await server_stream(met.client) == [str(number) for number in range(1000)]
    assert (await client_stream(met.client)).size_bytes == 6
    assert await bidi_stream(met.client) == [0, 1, 2, 3, 4]
    assert (await met.client.upload(pieces(0))).size_bytes == 0


async def test_a_tell_has_no_deadline_and_arrives(met: Met) -> None:
    async def act(ctx: Context) -> pb.KickReply:
        await met.room.note(("left", ctx.remaining()))
        return pb.KickReply()

    met.room.act = act
    await met.client.tell(ChatService.KICK, pb.KickRequest())
    await met.room.until(("left", None))
    with pytest.raises(LocalProtocolError, match="do not tell it"):
        await met.client.tell(ChatService.PRESENCE, pb.PresenceRequest())


@pytest.mark.parametrize("kind", KINDS)
async def test_metadata_and_the_deadline_reach_the_handler(met: Met, kind: Any) -> None:
    async def act(ctx: Context) -> Any:
        await met.room.note(dict(ctx.metadata))
        left = ctx.remaining()
        assert left is not None
        await met.room.note(0 < left <= 15)
        raise CallError(Code.ABORTED, "seen")

    met.room.act = act
    with pytest.raises(CallError, match="seen"):
        await kind(met.client, timeout=15, metadata={"a": "b"})
    assert met.room.notes[:2] == [{"a": "b"}, True]


@pytest.mark.parametrize("kind", KINDS)
async def test_metadata_over_its_bound_is_refused_at_the_caller(met: Met, kind: Any) -> None:
    for metadata in ({str(number): "x" for number in range(65)}, {"a": "x" * 9000}):
        with pytest.raises(LimitError):
            await kind(met.client, metadata=metadata)
    assert met.room.notes == []


async def test_neither_side_changes_the_metadata_of_the_other(met: Met) -> None:
    may_go_on = asyncio.Event()

    async def act(ctx: Context) -> pb.KickReply:
        await may_go_on.wait()
        with pytest.raises(TypeError):
            ctx.metadata["of"] = "the handler"  # type: ignore[index]
        await met.room.note(dict(ctx.metadata))
        return pb.KickReply()

    met.room.act = act
    metadata = {"of": "the caller"}
    await met.client.tell(ChatService.KICK, pb.KickRequest(), metadata=metadata)
    metadata["of"] = "nobody"
    may_go_on.set()
    await met.room.until({"of": "the caller"})
    assert metadata == {"of": "nobody"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_handlers_errors_have_the_same_class_code_and_words(
    met: Met, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    route = {unary: "Kick", server_stream: "Presence", client_stream: "Upload"}[kind]
    detail = b"\x0a\x03a/b"
    given = CallError(Code.NOT_FOUND, "gone", domain="chat", retry_after=2.0, details=(detail,))
    for raised, code, words in (
        (given, Code.NOT_FOUND, "gone"),
        (KeyError("secret"), Code.INTERNAL, f"demo.Chat.{route} failed with KeyError"),
        (TimeoutError("mine"), Code.DEADLINE_EXCEEDED, f"demo.Chat.{route} ran out of time"),
        (SystemExit(3), Code.INTERNAL, f"demo.Chat.{route} failed with SystemExit"),
    ):

        async def act(ctx: Context, raised: BaseException = raised) -> Any:
            raise raised

        met.room.act = act
        with pytest.raises(CallError) as caught:
            await kind(met.client)
        error = caught.value
        said, _, logged = error.message.partition("; its log has it as request ")
        assert (error.code, said) == (code, words)
        if code is Code.INTERNAL:
            (line,) = [each for each in caplog.records if logged in each.getMessage()]
            asked = f"caller={met.caller_id} request={logged} try=1"
            assert line.getMessage() == f"handler failed: method=demo.Chat.{route} {asked}"
            assert line.exc_info is not None
            assert line.exc_info[1] is raised
        assert (error.domain, error.details, error.retry_after) == (
            ("chat", (detail,), 2.0) if raised is given else ("", (), None)
        )


@pytest.mark.parametrize("kind", KINDS)
async def test_a_handler_that_cancels_its_own_task_is_one_that_failed(met: Met, kind: Any) -> None:
    met.room.act = cancel_oneself
    with pytest.raises(CallError, match="failed with CancelledError") as caught:
        async with asyncio.timeout(PATIENCE):
            await kind(met.client)
    assert caught.value.code is Code.INTERNAL


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reply_of_another_type_is_an_error_of_the_handler(met: Met, kind: Any) -> None:
    async def act(ctx: Context) -> Any:
        return pb.SayReply()

    met.room.act = act
    with pytest.raises(CallError) as caught:
        await kind(met.client)
    assert caught.value.code is Code.INTERNAL
    assert "failed with TypeError; " in caught.value.message


@pytest.mark.parametrize(
    ("method", "asked", "said"),
    [
        (
            replace(ChatService.SAY, request=pb.HistoryRequest),
            pb.HistoryRequest(limit=1),
            "field 1 of demo.HistoryRequest is uint32 limit on one side and string author",
        ),
        (
            replace(ChatService.SAY, payload_type=PayloadType.RPC_SIGNAL),
            pb.SayRequest(author="ann"),
            "it is RPC_RELIABLE there and RPC_SIGNAL here",
        ),
        (
            replace(
                ChatService.PRESENCE,
                kind=ChatService.SAY.kind,
                payload_type=PayloadType.RPC_RELIABLE,
            ),
            pb.PresenceRequest(),
            "it is server_stream there and unary here",
        ),
    ],
    ids=["type", "payload type", "kind"],
)
async def test_another_contract_has_the_same_class_code_and_words(
    met: Met, method: Any, asked: Any, said: str
) -> None:
    with pytest.raises(CallError) as caught:
        await met.caller.unary(method, asked, CallOptions(timeout=PATIENCE))
    assert caught.value.code is Code.FAILED_PRECONDITION
    assert caught.value.message.startswith(
        f"{method.route_key} has another contract at {ROOM}: {said}"
    )
    assert met.room.notes == []


async def test_messages_of_another_module_that_are_as_good_are_taken_as_its_own(met: Met) -> None:
    said = replace(ChatService.SAY, request=pb.KickRequest)
    reply = await met.caller.unary(said, pb.KickRequest(who="ann"), CallOptions(timeout=PATIENCE))
    assert type(reply) is pb.SayReply
    told = replace(ChatService.MESSAGES, reply=pb.SayReply)
    asked = pb.MessagesRequest(test_lines=2)
    stream = met.caller.server_stream(told, asked, CallOptions(timeout=PATIENCE))
    async with aclosing(cast("AsyncGenerator[Any, None]", stream)) as numbers:
        first = [await anext(numbers), await anext(numbers)]
    assert [(type(each), each.number) for each in first] == [(pb.SayReply, 0), (pb.SayReply, 1)]
    sent = replace(ChatService.UPLOAD, reply=pb.SayReply)
    size = await met.caller.client_stream(sent, pieces(), CallOptions(timeout=PATIENCE))
    assert (type(size), size.number) == (pb.SayReply, 6)


async def test_a_method_that_is_not_there_has_the_same_class_code_and_words(met: Met) -> None:
    strange = replace(ChatService.SAY, route_key="demo.Chat.Sing")
    with pytest.raises(CallError) as caught:
        await met.caller.unary(strange, pb.SayRequest(), CallOptions(timeout=PATIENCE))
    assert caught.value.code is Code.UNIMPLEMENTED
    assert caught.value.message.startswith("no method 'demo.Chat.Sing' here; compare the .proto")


async def test_a_contract_is_told_while_a_handler_holds_the_actor(met: Met) -> None:
    met.room.act = met.room.hang
    waits = asyncio.create_task(unary(met.client))
    await met.room.until("begun")
    asked = ReflectionClient(met.caller).describe(DescribeRequest(), timeout=PATIENCE)
    names = {each.service.name async for each in asked}
    assert "demo.Chat" in names
    assert not waits.done()
    waits.cancel()
    await met.room.until("cancelled")


async def test_a_request_of_another_type_is_told_at_the_call(met: Met) -> None:
    async def wrong() -> AsyncIterator[Any]:
        yield pb.SayRequest()

    with pytest.raises(LocalProtocolError):
        await met.client.kick(pb.SayRequest())  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError):
        await met.client.upload(wrong())
    with pytest.raises(LocalProtocolError):
        await met.client.upload([pb.FilePiece()])  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_deadline_ends_the_call_and_its_handler(met: Met, kind: Any) -> None:
    met.room.act = met.room.hang
    with pytest.raises((DeadlineError, CallError)) as caught:
        await kind(met.client, timeout=SHORT)
    # Both sides look at their clocks, and either may be first.
    error = caught.value
    assert isinstance(error, DeadlineError) or error.code is Code.DEADLINE_EXCEEDED
    await met.room.until("cancelled")


async def test_a_deadline_is_that_of_the_whole_stream(met: Met) -> None:
    async def slowly() -> AsyncIterator[pb.CursorMove]:
        while True:
            yield pb.CursorMove()
            await asyncio.sleep(0.02)

    taken: list[pb.CursorMove] = []

    async def take() -> None:
        async for move in met.client.cursors(slowly(), timeout=SHORT):
            taken.append(move)  # noqa: PERF401 - what came before the error counts

    with pytest.raises((DeadlineError, CallError)):
        await take()
    assert len(taken) > 1


@pytest.mark.parametrize("kind", KINDS)
async def test_cancelling_the_caller_cancels_the_handler(met: Met, kind: Any) -> None:
    met.room.act = met.room.hang
    call = asyncio.ensure_future(kind(met.client))
    await met.room.until("begun")
    call.cancel()
    await met.room.until("cancelled")
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_leaving_a_stream_early_ends_its_handlers_generator(met: Met) -> None:
    async for _ in met.client.presence(pb.PresenceRequest()):
        break
    async with asyncio.timeout(PATIENCE):
        while not met.room.notes:  # noqa: ASYNC110 - by the note, which has a number
            await asyncio.sleep(0.01)
    (what, number) = met.room.notes[0]
    assert what == "given"
    assert number < 1000, "a reliable stream is not sent ahead of who takes it"


async def test_a_handler_may_answer_before_it_has_read_all(met: Met) -> None:
    async def act(ctx: Context) -> pb.UploadReply:
        return pb.UploadReply(size_bytes=7)

    met.room.act = act
    async with asyncio.timeout(PATIENCE):
        assert (await met.client.upload(never())).size_bytes == 7


async def test_an_error_of_the_callers_stream_is_the_callers_and_ends_the_handler(
    met: Met,
) -> None:
    async def failing() -> AsyncIterator[pb.FilePiece]:
        yield pb.FilePiece(data=b"x")
        await asyncio.sleep(0.05)
        raise KeyError("mine")

    with pytest.raises(KeyError):
        await met.client.upload(failing())
    await met.room.until(Code.ABORTED)


async def test_a_nested_call_has_no_more_time_than_its_handler(met: Met) -> None:
    left: list[float | None] = []

    class Shell(Quiet):
        async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
            left.append(ctx.remaining())
            return pb.SayReply()

        async def presence(
            self, request: pb.PresenceRequest, ctx: Context
        ) -> AsyncIterator[pb.PresenceChange]:
            left.append(ctx.remaining())
            yield pb.PresenceChange()

    async def act(ctx: Context) -> Any:
        client = ChatClient(ctx.shell)
        await client.say(pb.SayRequest(), timeout=60)
        _ = [change async for change in client.presence(pb.PresenceRequest())]
        return pb.KickReply()

    met.there.ref.serve(Shell())
    met.room.act = act
    await unary(met.client, timeout=3)
    assert len(left) == 2
    assert all(seconds is not None and 0 < seconds <= 3 for seconds in left)


async def test_a_call_cycle_is_named(met: Met) -> None:
    said: list[CallError] = []

    async def act(ctx: Context) -> Any:
        for again in (ctx.to(ROOM), ctx.to_self()):
            try:
                await ChatClient(again).say(pb.SayRequest(), timeout=5)
            except CallError as exc:
                said.append(exc)
        return pb.KickReply()

    met.room.act = act
    await unary(met.client)
    assert [error.code for error in said] == [Code.FAILED_PRECONDITION] * 2
    assert said[0].message == said[1].message
    assert "call cycle: a handler here waits for this call of demo.Chat.Say" in said[0].message


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cycle_through_another_actor_is_named(url: str, kind: Any) -> None:
    first, second = Room(), Room()

    async def ask(ctx: Context) -> Any:
        return await ChatClient(ctx.to("acme:second@1:default")).kick(pb.KickRequest())

    async def ask_back(ctx: Context) -> Any:
        with pytest.raises(CallError, match="call cycle") as caught:
            await kind(ChatClient(ctx.to("acme:first@1:default")), timeout=PATIENCE)
        assert caught.value.code is Code.FAILED_PRECONDITION
        return pb.KickReply(was_present=True)

    first.act, second.act = ask, ask_back
    async with (
        System(config("first", url, close_timeout=2.0)).attach(first) as node,
        System(config("second", url, close_timeout=2.0)).attach(second),
    ):
        assert (await ChatClient(node.ref).kick(pb.KickRequest(), timeout=PATIENCE)).was_present


async def test_a_cycle_of_durable_calls_is_named(kept: Met) -> None:
    async def act(ctx: Context) -> Any:
        return await ChatClient(ctx.to(ROOM)).say(pb.SayRequest(), timeout=5, durable=True)

    kept.room.act = act
    with pytest.raises(CallError, match="call cycle") as caught:
        await unary(kept.client)
    assert caught.value.code is Code.FAILED_PRECONDITION


async def test_a_tell_to_who_waits_is_no_cycle_and_arrives(met: Met) -> None:
    async def act(ctx: Context) -> Any:
        for again in (ctx.to(ROOM), ctx.to_self()):
            await ChatClient(again).tell(ChatService.SAY, pb.SayRequest(text="later"))
        return pb.KickReply()

    met.room.act = act
    await unary(met.client)
    await met.client.say(pb.SayRequest(text="last"))
    assert met.room.notes == ["later", "later", "last"]


async def test_a_call_cycle_through_the_shell_is_named(met: Met) -> None:
    class Shell(Quiet):
        async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
            return await ChatClient(ctx.shell).say(request, timeout=5)

    async def act(ctx: Context) -> Any:
        await ChatClient(ctx.shell).say(pb.SayRequest())

    met.there.ref.serve(Shell())
    met.room.act = act
    with pytest.raises(CallError) as caught:
        await unary(met.client)
    assert caught.value.code is Code.FAILED_PRECONDITION


async def test_a_handler_of_the_shell_that_cancels_its_own_task_ends_its_call_alone(
    met: Met,
) -> None:
    class Shell(Quiet):
        async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
            if request.text == "cancel":
                await cancel_oneself()
            return pb.SayReply(number=1)

    async def act(ctx: Context) -> Any:
        for text in ("cancel", ""):
            await ChatClient(ctx.shell).say(pb.SayRequest(text=text), timeout=5)
        return pb.KickReply()

    met.there.ref.serve(Shell())
    met.room.act = act
    for _ in range(2):
        with pytest.raises(CallError, match=r"demo\.Chat\.Say failed with CancelledError"):
            await unary(met.client)


async def test_what_is_set_in_the_context_of_a_call_is_seen_by_no_other(met: Met) -> None:
    seen: list[str] = []

    def note(who: str) -> None:
        seen.append(WHO.get())
        WHO.set(who)

    class Shell(Quiet):
        async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
            note("the shell")
            return pb.SayReply()

    async def act(ctx: Context) -> Any:
        note("a handler")
        await ChatClient(ctx.shell).say(pb.SayRequest())
        return pb.KickReply()

    met.there.ref.serve(Shell())
    met.room.act = act
    WHO.set("a caller")
    for _ in range(2):
        await unary(met.client)
    assert seen == ["nobody"] * 4
    assert WHO.get() == "a caller"


async def test_the_requests_of_a_stream_are_made_in_the_context_of_who_calls(met: Met) -> None:
    seen: list[str] = []

    async def moves() -> AsyncIterator[pb.CursorMove]:
        seen.append(WHO.get())
        yield pb.CursorMove()

    async def pieces() -> AsyncIterator[pb.FilePiece]:
        seen.append(WHO.get())
        yield pb.FilePiece()

    WHO.set("a caller")
    await met.client.upload(pieces())
    _ = [move async for move in met.client.cursors(moves())]
    assert seen == ["a caller"] * 2


async def test_calls_of_other_conflict_keys_run_side_by_side(met: Met) -> None:
    both = asyncio.Barrier(2)

    async def act(ctx: Context) -> Any:
        async with asyncio.timeout(PATIENCE):
            await both.wait()

    met.room.act = act
    calls = (met.client.history(pb.HistoryRequest(limit=limit)) for limit in (1, 2))
    await asyncio.gather(*calls)


async def test_a_handler_has_the_time_that_its_method_gives_it(met: Met) -> None:
    met.room.act = met.room.hang
    with pytest.raises(CallError, match=r"demo\.Chat\.History ran out of time") as caught:
        await met.client.history(pb.HistoryRequest(), timeout=15)
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    await met.room.until("cancelled")


class Limited(Room):
    """Has little time for streams, too."""

    METHODS = (
        replace(ChatService.PRESENCE, handler_timeout=SHORT),
        replace(ChatService.UPLOAD, handler_timeout=SHORT),
    )


@pytest.mark.parametrize("kind", [server_stream, client_stream])
async def test_a_handler_of_a_stream_has_the_time_that_its_method_gives_it(
    url: str, kind: Any
) -> None:
    room = Limited()
    room.act = room.hang
    async with (
        System(config("room", url, close_timeout=2.0)).attach(room) as there,
        System(config("caller", url, close_timeout=2.0)).attach(Quiet()) as here,
    ):
        for caller in (there.ref, here.ref.to(ROOM)):
            with pytest.raises(CallError, match="ran out of time") as caught:
                await kind(ChatClient(caller), timeout=PATIENCE)
            assert caught.value.code is Code.DEADLINE_EXCEEDED
            await room.until("cancelled")
            room.notes.clear()


async def test_a_method_that_nobody_has_is_unimplemented(met: Met) -> None:
    nowhere = replace(ChatService.SAY, route_key="demo.Chat.Whisper")
    with pytest.raises(CallError) as caught:
        await met.caller.unary(nowhere, pb.SayRequest(), CallOptions(timeout=10))
    assert caught.value.code is Code.UNIMPLEMENTED


async def test_a_slow_caller_loses_the_oldest_of_a_latency_first_stream(met: Met) -> None:
    numbers: list[int] = []
    async for line in met.client.messages(pb.MessagesRequest(test_lines=500)):
        numbers.append(line.number)
        if len(numbers) == 1:
            await asyncio.sleep(SHORT)
    assert numbers == sorted(set(numbers))
    assert len(numbers) < 500
    assert numbers[-1] == 999, "what is made later arrives"


async def test_a_stream_does_not_hold_up_the_actor(met: Met) -> None:
    upload = asyncio.ensure_future(met.client.upload(never()))
    async with asyncio.timeout(PATIENCE):
        assert (await unary(met.client)).was_present
        changes = met.client.presence(pb.PresenceRequest())
        await anext(changes)
        assert (await unary(met.client)).was_present
    upload.cancel()


async def test_thousands_of_streams_inside_the_process_leave_nothing(url: str) -> None:
    async with meeting(url, "direct") as met:
        before = len(asyncio.all_tasks())
        for number in range(10_000):
            client = met.client
            if number % 3 == 0:
                async for _ in client.presence(pb.PresenceRequest()):
                    break
            elif number % 3 == 1:
                assert (await client.upload(pieces(1))).size_bytes == 2
            else:
                assert await bidi_stream(client) == [0, 1, 2, 3, 4]
        async with asyncio.timeout(PATIENCE):
            while met.open_streams() or len(asyncio.all_tasks()) > before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not met.there.assembly.local.to_workload.is_busy
