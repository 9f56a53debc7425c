from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatService
from actr_peer import ActrRef, CallDetails, ClientInterceptor, Context
from actr_peer.actor.reach import Reach
from actr_peer.errors import ConfigError, LocalProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.rpc.destinations.ids import id_of
from actr_peer.rpc.destinations.scope import ROOT, Scope
from actr_peer.service import Caller, CallOptions

ROOM, OTHER = ActrId("acme", "room", "1"), ActrId("acme", "room", "2")


class Part:
    """Remembers what is asked of it; what waits gives nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def ask(*args: Any, **named: Any) -> Any:
            self.asked.append((name, args, named))
            return self

        return ask

    def __await__(self) -> Any:
        yield from ()
        return self


class Source:
    track_id, kind, codec = "cam", "video", "vp8"

    async def read(self) -> None:
        return None

    def request_keyframe(self) -> None: ...


class Node(SimpleNamespace):
    """A node in parts that remember what is asked of them."""

    def __init__(self) -> None:
        super().__init__(id=ActrId("acme", "caller", "1"), call_timeout=7.0)
        for name in ("signaling", "transport", "streams", "stream_subscribers"):
            setattr(self, name, Part())
        self.media_subscribers = Part()
        self.keyframes: list[tuple[ActrId, str]] = []

    def request_keyframe(self, remote: ActrId, track_id: str) -> None:
        self.keyframes.append((remote, track_id))

    def metered(self, caller: Caller) -> Caller:
        return caller


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def reach(node: Node) -> Reach:
    return Reach(node)  # type: ignore[arg-type]


class Elsewhere(ClientInterceptor):
    """Sends every call to another actor."""

    async def prepare(self, details: CallDetails) -> CallDetails:
        return details.but(target=OTHER)


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("way", ["to", "any"])
async def test_a_call_that_an_interceptor_sends_elsewhere_waits_for_a_link_as_before(
    node: Node, reach: Reach, waits: bool, way: str
) -> None:
    asked: list[tuple[ActrId, bool]] = []

    def caller_to(remote: ActrId, scope: Scope, *, wait_for_ready: bool = True) -> Part:
        asked.append((remote, wait_for_ready))
        return Part()

    node.caller_to, node.interceptors = caller_to, (Elsewhere(),)
    caller: Any = (
        reach._caller(ROOM, ROOT, waits=waits)
        if way == "to"
        else reach.any("acme:room", wait_for_ready=waits)
    )
    await caller.unary(ChatService.SAY, pb.SayRequest(), CallOptions())
    assert asked[-1] == (OTHER, waits)


@pytest.mark.parametrize("kind", [Context, ActrRef])
def test_handlers_and_the_shell_reach_others_by_the_same_functions(kind: type) -> None:
    public = {name for name in vars(Reach) if not name.startswith("_")}
    assert {"discover", "open_stream", "publish", "register_media", "register_stream"} <= public
    for name in public:
        assert getattr(kind, name) is getattr(Reach, name)


def test_a_remote_is_an_id_or_its_text() -> None:
    assert id_of(ROOM) is ROOM
    assert id_of(str(ROOM)) == ROOM
    assert id_of(ROOM.uri) == ROOM
    assert id_of("self", ROOM) is ROOM
    with pytest.raises(ConfigError, match="no actor id"):
        id_of(7)


@pytest.mark.parametrize("text", ["acme:room", "shell", "self"])
def test_what_may_be_nobody_or_many_is_no_id(text: str) -> None:
    with pytest.raises(ConfigError, match="discover"):
        id_of(text)


def test_a_channel_to_self_is_one_to_the_own_id(node: Node, reach: Reach) -> None:
    reach.open_stream("self", "telemetry")
    assert node.transport.asked == [("link", (node.id,), {})]


async def test_publishing_waits_for_as_long_as_a_call_where_nothing_is_said(
    node: Node, reach: Reach
) -> None:
    await reach.publish(str(ROOM), Source())
    await reach.publish(ROOM, Source(), timeout=0.0)
    asked = node.transport.asked
    assert asked[:2] == [("link", (ROOM,), {}), ("lane", (PayloadType.MEDIA_RTP,), {})]
    sent = [named for name, _, named in asked if name == "send"]
    assert sent == [{"timeout": 7.0}, {"timeout": 0.0}]


async def test_what_is_no_source_is_refused_before_a_wire_is_made_for_it(
    node: Node, reach: Reach
) -> None:
    with pytest.raises(ConfigError):
        await reach.publish(ROOM, object())
    assert node.transport.asked == []


@pytest.mark.parametrize(
    ("is_late", "lane"),
    [(False, PayloadType.STREAM_RELIABLE), (True, PayloadType.STREAM_LATENCY_FIRST)],
)
def test_a_channel_is_reliable_unless_it_is_asked_to_be_quick(
    node: Node, reach: Reach, is_late: bool, lane: PayloadType
) -> None:
    reach.open_stream(str(ROOM), "telemetry", latency_first=is_late)
    assert node.transport.asked == [("link", (ROOM,), {})]
    assert node.streams.asked == [("open_named", (node.transport, "telemetry", lane), {})]


def test_closing_a_stream_ends_it_and_forgets_it(node: Node, reach: Reach) -> None:
    writer = Part()
    reach.close_stream(writer)  # type: ignore[arg-type]
    assert writer.asked == [("end", (), {})]
    assert node.streams.asked == [("forget_writer", (writer,), {})]


def test_only_what_can_be_called_is_registered(node: Node, reach: Reach) -> None:
    reach.register_stream("telemetry", print)
    reach.register_media(None, print)
    assert node.stream_subscribers.asked == [("register", ("telemetry", print, None), {})]
    assert node.media_subscribers.asked == [("register", (None, print, None), {})]
    for register in (reach.register_stream, reach.register_media):
        with pytest.raises(LocalProtocolError, match="callback"):
            register("telemetry", None)  # type: ignore[operator]


def test_a_key_frame_is_asked_of_the_remote_by_its_id(node: Node, reach: Reach) -> None:
    reach.request_keyframe(str(ROOM), "cam")
    assert node.keyframes == [(ROOM, "cam")]


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 1 << 31}, {"service": "\ud800"}])
async def test_a_search_that_cannot_be_asked_is_refused_here(
    node: Node, reach: Reach, wrong: dict[str, Any]
) -> None:
    with pytest.raises(LocalProtocolError):
        await reach.discover("room", **wrong)
    assert node.signaling.asked == []
    await reach.discover("room", limit=3)
    assert node.signaling.asked == [("discover", ("room",), {"service": "", "limit": 3})]
