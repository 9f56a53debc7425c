"""What is wrong with a handler is told where the workload is attached, in one sentence."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from actr.demo.chat_actr import ChatService
from actr_peer import Context, Hooks, Service, System
from actr_peer.errors import ConfigError
from actr_peer.node.config import NodeConfig
from actr_peer.node.contract.handlers import check_handlers, check_hooks, services_of
from actr_peer.protocol.identity import ActrId


class Room(ChatService):
    """All handlers as they should be, of both ways to stream."""

    async def say(self, request: Any, ctx: Context) -> Any: ...

    async def history(self, request: Any, ctx: Context) -> Any: ...

    async def kick(self, request: Any, ctx: Context) -> Any: ...

    async def upload(self, pieces: Any, ctx: Context) -> Any: ...

    async def messages(self, request: Any, ctx: Context) -> AsyncIterator[Any]:
        yield request

    async def presence(self, request: Any, ctx: Context) -> AsyncIterator[Any]:
        yield request

    def cursors(self, moves: Any, ctx: Context) -> AsyncIterator[Any]:
        return self.presence(moves, ctx)


def with_handler(name: str, handler: object) -> Service:
    made = type("Room", (Room,), {name: handler})()
    assert isinstance(made, Service)
    return made


def test_handlers_that_fit_are_taken() -> None:
    check_handlers(Room())
    check_handlers(Service())


async def no_self(request: Any, ctx: Any) -> None: ...


async def one_argument(self: Any, request: Any) -> None: ...


async def three_arguments(self: Any, request: Any, ctx: Any, more: Any) -> None: ...


async def some_arguments(self: Any, *given: Any) -> None: ...


def plain(self: Any, request: Any, ctx: Any) -> None: ...


def generator(self: Any, request: Any, ctx: Any) -> Iterator[None]:
    yield None


async def yields(self: Any, request: Any, ctx: Any) -> AsyncIterator[None]:
    yield None


async def returns(self: Any, request: Any, ctx: Any) -> None: ...


@pytest.mark.parametrize(
    ("name", "handler", "words"),
    [
        (
            "say",
            plain,
            "Room.say is not async, for it answers demo.Chat.Say: write `async def say(",
        ),
        ("say", yields, "Room.say yields, and has one reply to return"),
        ("say", generator, "Room.say is a generator that is not async"),
        ("say", one_argument, "Room.say takes (request), and gets a request and a context"),
        ("say", three_arguments, "and gets a request and a context"),
        ("say", "text", "Room.say is str, which cannot be called"),
        ("say", None, "Room has no handler of demo.Chat.Say: write `async def say(self, request"),
        ("upload", yields, "requests: AsyncIterator[FilePiece], ctx: Context) -> UploadReply`"),
        ("messages", returns, "Room.messages returns, and has a stream of replies to yield"),
        ("messages", generator, "write `async def messages(self, request: MessagesRequest, ctx:"),
        ("cursors", returns, "-> AsyncIterator[CursorMove]` with a `yield` for each reply"),
    ],
)
def test_a_handler_that_does_not_fit_is_told(name: str, handler: object, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_handlers(with_handler(name, handler))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def wrapped(handler: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(handler)
    def around(*given: Any) -> Any:
        return handler(*given)

    return around


class Callable_:  # noqa: N801
    async def __call__(self, request: Any, ctx: Any) -> None: ...


@pytest.mark.parametrize(
    "handler",
    [
        some_arguments,
        wrapped(returns),
        staticmethod(no_self),
        staticmethod(functools.partial(no_self)),
        Callable_(),
        print,
    ],
    ids=["any arguments", "decorated", "static", "partial", "an object", "of C"],
)
def test_what_may_well_be_a_handler_is_taken(handler: object) -> None:
    check_handlers(with_handler("say", handler))


def test_a_decorator_does_not_hide_what_a_handler_is() -> None:
    with pytest.raises(ConfigError, match=r"Room\.say is not async"):
        check_handlers(with_handler("say", wrapped(plain)))


def test_attach_looks_at_handlers_and_hooks() -> None:
    system = System(NodeConfig(id=ActrId.parse("a:b@1:r"), signaling_url="ws://127.0.0.1:1/v1/ws"))
    with pytest.raises(ConfigError, match=r"Room\.say is not async"):
        system.attach(with_handler("say", plain))
    with pytest.raises(ConfigError, match=r"Room\.on_stop is a hook and not async"):
        system.attach(with_handler("on_stop", lambda self: None))
    with pytest.raises(ConfigError, match="attach an instance"):
        system.attach(Room)  # type: ignore[arg-type]


def test_a_hook_that_is_not_async_is_told() -> None:
    def on_ready(self: Any, ref: Any) -> None: ...

    service = with_handler("on_ready", on_ready)
    with pytest.raises(ConfigError, match=r"write `async def on_ready\(self, ref\)`"):
        check_hooks(service, Hooks)
    check_hooks(with_handler("on_ready", returns), Hooks)
    check_hooks(Room(), Hooks)


def test_a_workload_is_services_or_their_classes() -> None:
    room = Room()
    assert services_of(room) == (room,)
    assert [type(each) for each in services_of([Room, room])] == [Room, Room]
    assert [type(each) for each in services_of(Room)] == [Room]


def test_a_class_that_lacks_a_handler_is_told_before_it_is_made() -> None:
    class Half(ChatService):
        async def say(self, request: Any, ctx: Context) -> Any: ...

    with pytest.raises(ConfigError, match=r"Half has no handler of demo\.Chat\.\w+: write `async"):
        services_of(Half)


@pytest.mark.parametrize("given", [3, int, [Room, "room"]])
def test_what_is_no_service_is_no_workload(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"(int|str) is no service: derive it"):
        services_of(given)
