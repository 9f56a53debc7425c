"""Whatever user code does, it ends at most the call that it serves, remote or in the process."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer import CallError, Code, Context, System
from actr_peer.errors import ConfigError, LocalProtocolError
from actr_peer.node.node import Node
from actr_peer.node.process.status import status
from actr_peer.service import Caller
from actr_peer.tasks import failures, note_failure
from lab.quiet import Quiet
from peer_kit.signaling import config, signaling_service

pytestmark = pytest.mark.service


class MuteError(Exception):
    """Has nothing to say of itself."""

    def __str__(self) -> str:
        raise ZeroDivisionError


def throw(error: BaseException) -> Callable[[], NoReturn]:
    def act() -> NoReturn:
        raise error

    return act


RAISED = {
    "an error": (throw(KeyError("inside")), Code.INTERNAL),
    "an error without words": (throw(MuteError()), Code.INTERNAL),
    "an exit": (throw(SystemExit(3)), Code.INTERNAL),
    "an interrupt": (throw(KeyboardInterrupt()), Code.INTERNAL),
    "the end of a generator": (throw(GeneratorExit()), Code.INTERNAL),
    "a cancellation of its own": (throw(asyncio.CancelledError()), Code.INTERNAL),
    "a pause below zero": (
        throw(CallError(Code.UNAVAILABLE, "x", retry_after=-1)),
        Code.UNAVAILABLE,
    ),
    "a pause that is no number": (
        throw(CallError(Code.UNAVAILABLE, "x", retry_after=math.nan)),
        Code.UNAVAILABLE,
    ),
    "details that are none": (
        throw(CallError(Code.ABORTED, "x", details=(b"\xff",))),
        Code.ABORTED,
    ),
    "a lone surrogate": (throw(CallError(Code.NOT_FOUND, "caf\udce9")), Code.NOT_FOUND),
}
GIVEN = {
    "nothing": (lambda: None, Code.INTERNAL),
    "a text": (lambda: "kicked", Code.INTERNAL),
    "a message of another type": (pb.SayRequest, Code.INTERNAL),
}
ACTS = RAISED | GIVEN


class Room(Quiet):
    """Each kind of method does what the test says, at once or after it has waited."""

    def __init__(self) -> None:
        self.act: Callable[[], Any] = lambda: None
        self.waits = False
        self.heard: list[str] = []

    async def _do(self) -> Any:
        if self.waits:
            await asyncio.sleep(0)
        return self.act()

    async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
        reply: pb.KickReply = await self._do()
        return reply

    async def messages(
        self, request: pb.MessagesRequest, ctx: Context
    ) -> AsyncIterator[pb.ChatMessage]:
        yield pb.ChatMessage(number=1)
        yield await self._do()

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        async for _ in requests:
            pass
        reply: pb.UploadReply = await self._do()
        return reply


class Asker(Quiet):
    """Calls its shell where it is asked to, and passes on what comes of it."""

    def __init__(self) -> None:
        self.ask: Callable[[Caller], Any] = lambda shell: None

    async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
        await self.ask(ctx.shell)
        return pb.KickReply(was_present=True)


@pytest.fixture
async def signaling() -> AsyncIterator[str]:
    async with signaling_service() as url:
        yield url


async def pieces() -> AsyncIterator[pb.FilePiece]:
    yield pb.FilePiece(data=b"x")


async def unary(caller: Caller) -> None:
    await ChatClient(caller).kick(pb.KickRequest(), timeout=20)


async def server_stream(caller: Caller) -> None:
    async for _ in ChatClient(caller).messages(pb.MessagesRequest(), timeout=20):
        pass


async def client_stream(caller: Caller) -> None:
    await ChatClient(caller).upload(pieces(), timeout=20)


KINDS = (unary, server_stream, client_stream)


async def told(call: Callable[[Caller], Any], caller: Caller) -> CallError:
    with pytest.raises(CallError) as caught:
        await call(caller)
    return caught.value


async def check(node: Node, room: Room, caller: Caller) -> None:
    """Every act through every kind of call ends that call, and the next one works."""
    for waits in (False, True):
        room.waits = waits
        for name, (act, code) in ACTS.items():
            for kind in KINDS:
                room.act = act
                assert (await told(kind, caller)).code is code, (name, kind.__name__, waits)
                assert (await ChatClient(caller).say(pb.SayRequest(), timeout=20)).number == 1
    assert node.failure is None
    assert not node.ended.is_set()


async def test_what_a_handler_does_ends_the_call_of_a_remote_only(signaling: str) -> None:
    room = Room()
    async with (
        System(config("room", signaling)).attach(room) as there,
        System(config("caller", signaling)).attach(Quiet()) as here,
    ):
        await check(there, room, here.ref.to(there.id))


async def test_what_a_handler_does_ends_the_call_of_the_shell_only(signaling: str) -> None:
    room = Room()
    async with System(config("room", signaling)).attach(room) as node:
        await check(node, room, node.ref)


class SelfCancelling(Quiet):
    """Cancels the task that its handler runs in."""

    async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.Event().wait()
        return pb.KickReply()


async def test_a_handler_that_cancels_its_own_task_is_an_error_of_the_call(signaling: str) -> None:
    async with System(config("room", signaling)).attach(SelfCancelling()) as node:
        error = await told(unary, node.ref)
        assert error.code is Code.INTERNAL


@pytest.mark.parametrize("wrong", [7, b"room", "\ud800"])
async def test_a_name_that_is_no_text_is_told_at_once(signaling: str, wrong: Any) -> None:
    async with System(config("room", signaling)).attach(Room()) as node:
        for ask in (
            lambda: node.ref.discover(wrong),
            lambda: node.ref.discover(service=wrong),
            lambda: node.ref.discover(limit=-1),
        ):
            with pytest.raises(LocalProtocolError):
                await ask()
        with pytest.raises(LocalProtocolError):
            node.ref.register_stream(wrong, print)
        with pytest.raises(LocalProtocolError):
            node.ref.open_stream("acme:other@1:default", wrong)


async def test_what_the_shell_does_ends_the_call_of_the_workload_only(signaling: str) -> None:
    shell, asker = Room(), Asker()
    async with System(config("room", signaling)).attach(asker) as node:
        node.ref.serve(shell)
        for waits in (False, True):
            shell.waits = waits
            for name, (act, code) in ACTS.items():
                for kind in KINDS:
                    shell.act, asker.ask = act, kind
                    error = await told(unary, node.ref)
                    assert error.code is code, (name, kind.__name__, waits)
        asker.ask = lambda caller: ChatClient(caller).say(pb.SayRequest())
        await unary(node.ref)
        assert node.failure is None


async def test_a_reply_that_no_message_can_carry_is_an_error_of_the_call(signaling: str) -> None:
    room = Room()
    huge = pb.ChatMessage(text="x" * (17 * 1024 * 1024))

    async def history(request: pb.HistoryRequest, ctx: Context) -> pb.HistoryReply:
        return pb.HistoryReply(messages=[huge])

    room.history = history  # type: ignore[method-assign]
    room.act = lambda: huge
    async with (
        System(config("room", signaling)).attach(room) as there,
        System(config("caller", signaling)).attach(Quiet()) as here,
    ):
        client = ChatClient(here.ref.to(there.id))
        with pytest.raises(CallError) as caught:
            await client.history(pb.HistoryRequest(), timeout=20)
        assert caught.value.code is Code.RESOURCE_EXHAUSTED
        await told(server_stream, here.ref.to(there.id))
        assert (await client.say(pb.SayRequest(), timeout=20)).number == 1
        assert there.failure is None


async def test_a_hook_that_lets_a_cancellation_or_an_exit_out_is_counted(signaling: str) -> None:
    heard: list[int] = []
    done = asyncio.Event()

    class Listening(Quiet):
        async def on_pressure(self, number: int) -> None:
            heard.append(number)
            if number == 1:
                raise asyncio.CancelledError
            if number == 2:
                raise SystemExit(3)
            if number == 3:
                raise KeyError
            done.set()

    before = failures["hook"]
    async with System(config("room", signaling)).attach(Listening()) as node:
        for number in range(1, 5):
            node.assembly.hooks.post("on_pressure", number)
        async with asyncio.timeout(60):
            await done.wait()
        assert node.failure is None
    assert heard == [1, 2, 3, 4]
    assert failures["hook"] == before + 3


async def test_a_deferred_reply_whose_cancellation_fails_ends_all_the_same(signaling: str) -> None:
    deferred, void = asyncio.Event(), asyncio.Event()

    class Later(Quiet):
        async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
            reply = ctx.defer()

            def fail() -> None:
                void.set()
                raise ZeroDivisionError

            reply.set_on_cancel(fail)
            deferred.set()
            later: pb.KickReply = reply.later
            return later

    before = failures["on_cancel"]
    async with (
        System(config("room", signaling)).attach(Later()) as there,
        System(config("caller", signaling)).attach(Quiet()) as here,
    ):
        caller = here.ref.to(there.id)
        call = asyncio.ensure_future(unary(caller))
        await deferred.wait()
        wire = there.assembly.transport.links()[0].wire(there.config.prefer[0])
        call.cancel()
        async with asyncio.timeout(60):
            await void.wait()
        assert (await ChatClient(caller).say(pb.SayRequest(), timeout=20)).number == 1
        assert there.assembly.transport.links()[0].wire(there.config.prefer[0]) is wire
        assert (there.assembly.scheduler.deferred, there.view().mailbox.depth) == (0, 0)
    assert failures["on_cancel"] == before + 1


async def fail_after_one() -> AsyncIterator[pb.FilePiece]:
    yield pb.FilePiece(data=b"x")
    raise KeyError("the caller's own")


async def of_another() -> AsyncIterator[Any]:
    yield pb.SayRequest()


WRONG: dict[str, Callable[[ChatClient], Any]] = {
    "no request": lambda client: client.kick(None),
    "a request of another method": lambda client: client.kick(pb.SayRequest()),
    "a text": lambda client: client.kick("ann"),
    "no request of a stream": lambda client: anext(client.messages(None)),
    "no stream": lambda client: client.upload(None),
    "a list": lambda client: client.upload([pb.FilePiece()]),
    "a list both ways": lambda client: anext(client.cursors([pb.CursorMove()])),
    "a stream of another method": lambda client: client.upload(of_another()),
    "nothing to tell": lambda client: client.tell(ChatService.SAY, None),
    "a time that is no number": lambda client: client.kick(pb.KickRequest(), timeout=math.nan),
    "a time as text": lambda client: client.kick(pb.KickRequest(), timeout="2"),
    "a key that is no text": lambda client: client.kick(pb.KickRequest(), metadata={1: "x"}),
    "a value that is no text": lambda client: client.kick(pb.KickRequest(), metadata={"x": None}),
    "metadata with a surrogate": lambda client: client.kick(
        pb.KickRequest(), metadata={"x": "caf\udce9"}
    ),
    "metadata with a zero": lambda client: client.kick(pb.KickRequest(), metadata={"x\0": "y"}),
    "metadata that is none": lambda client: client.kick(pb.KickRequest(), metadata=[1]),
    "a durable key that is none": lambda client: client.kick(pb.KickRequest(), durable=3.5),
}


async def test_what_a_caller_passes_wrongly_is_told_at_once(signaling: str) -> None:
    async with (
        System(config("room", signaling)).attach(Quiet()) as there,
        System(config("caller", signaling)).attach(Quiet()) as here,
    ):
        for caller in (there.ref, here.ref.to(there.id)):
            client = ChatClient(caller)
            for name, call in WRONG.items():
                async with asyncio.timeout(60):
                    try:
                        await call(client)
                    except LocalProtocolError:
                        pass
                    else:
                        pytest.fail(f"{name}: nothing was said")
            assert (await client.say(pb.SayRequest(), timeout=20)).number == 1
        assert here.failure is there.failure is None


async def test_an_error_of_the_callers_own_stream_is_the_callers(signaling: str) -> None:
    async with (
        System(config("room", signaling)).attach(Quiet()) as there,
        System(config("caller", signaling)).attach(Quiet()) as here,
    ):
        for caller in (there.ref, here.ref.to(there.id)):
            with pytest.raises(KeyError):
                await ChatClient(caller).upload(fail_after_one(), timeout=20)
        assert here.failure is there.failure is None


async def test_an_actor_that_closes_while_its_shell_feeds_a_stream_ends_cleanly(
    signaling: str,
) -> None:
    flowing = asyncio.Event()

    async def moves() -> AsyncIterator[pb.CursorMove]:
        while True:
            yield pb.CursorMove(x=1)
            await asyncio.sleep(0)

    async with System(config("room", signaling)).attach(Quiet()) as there:
        node = System(config("caller", signaling)).attach(Quiet())
        ref = await node.start()

        async def read() -> None:
            async for _ in ChatClient(ref.to(there.id)).cursors(moves()):
                flowing.set()

        reading = asyncio.ensure_future(read())
        await flowing.wait()
        await node.close()
        await asyncio.gather(reading, return_exceptions=True)
        assert reading.exception() is not None
        assert there.failure is node.failure is None


async def test_what_is_no_actor_no_callback_and_no_service_is_told_at_once(signaling: str) -> None:
    with pytest.raises(ConfigError, match="attach an instance"):
        System(config("room", signaling)).attach(Quiet)  # type: ignore[arg-type]
    async with System(config("room", signaling)).attach(Quiet()) as node:
        for remote in (7, None, b"acme:room@1:default", "room"):
            with pytest.raises(ConfigError):
                node.ref.to(remote)  # type: ignore[arg-type]
            with pytest.raises(ConfigError):
                node.ref.open_stream(remote, "c")  # type: ignore[arg-type]
            with pytest.raises(ConfigError):
                node.ref.request_keyframe(remote, "camera")  # type: ignore[arg-type]
        with pytest.raises(LocalProtocolError):
            node.ref.register_stream("c", None)  # type: ignore[arg-type]
        with pytest.raises(LocalProtocolError):
            node.ref.register_media(None, "no callback")  # type: ignore[arg-type]
        with pytest.raises(ConfigError):
            node.ref.serve(ChatService)  # type: ignore[arg-type]


async def test_what_failed_is_counted_where_the_operator_looks(signaling: str) -> None:
    async with System(config("room", signaling)).attach(Quiet()) as node:
        note_failure("test", "look/1", ZeroDivisionError())
        assert status(node.view())["failures"]["look"] >= 1
