"""A deadline that ends a call says the last that is known, whatever kind of call, however short."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer import ActrId, Context, NodeConfig, Service, System
from actr_peer.errors import BrokenError, DeadlineError, PeerError, UnreachableError
from actr_peer.node.ref import ActrRef
from actr_peer.rpc.destinations.lateness import NO_WIRE, last_known, late
from actr_peer.service import CallOptions
from actr_peer.transport.link import Link
from lab.quiet import Quiet
from peer_kit.links import eventually
from peer_kit.place import ROOM as REMOTE_ROOM
from peer_kit.place import Place
from peer_kit.signaling import SignalingService, config

pytestmark = pytest.mark.service

ROOM, NOBODY = ActrId("acme", "room", "1"), "acme:nobody@1:default"
SHORT = 0.2


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Place(tmp_path_factory.mktemp("realm")).signaling() as url:
        yield url


class Slow(Quiet):
    """Answers nothing."""

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        await asyncio.Event().wait()
        return pb.SayReply()

    async def messages(
        self, request: pb.MessagesRequest, ctx: Context
    ) -> AsyncIterator[pb.ChatMessage]:
        yield pb.ChatMessage(number=1)
        await asyncio.Event().wait()


async def unary(ref: ActrRef, timeout: float) -> None:
    await ChatClient(ref.to(NOBODY)).say(pb.SayRequest(), timeout=timeout)


async def server_stream(ref: ActrRef, timeout: float) -> None:
    async for _ in ChatClient(ref.to(NOBODY)).messages(pb.MessagesRequest(), timeout=timeout):
        raise AssertionError("nobody is there to send it")


async def _moves() -> AsyncIterator[pb.CursorMove]:
    yield pb.CursorMove()


async def bidi_stream(ref: ActrRef, timeout: float) -> None:
    async for _ in ChatClient(ref.to(NOBODY)).cursors(_moves(), timeout=timeout):
        raise AssertionError("nobody is there to send it")


async def _pieces() -> AsyncIterator[pb.FilePiece]:
    yield pb.FilePiece()


async def client_stream(ref: ActrRef, timeout: float) -> None:
    await ChatClient(ref.to(NOBODY)).upload(_pieces(), timeout=timeout)


@pytest.mark.parametrize("timeout", [0.0, 0.02, 1.5])
@pytest.mark.parametrize("call", [unary, server_stream, client_stream, bidi_stream])
async def test_an_actor_that_is_offline_is_unreachable_however_short_the_time(
    url: str, call: Callable[[ActrRef, float], Awaitable[None]], timeout: float
) -> None:
    async with System(config("ann", url)).attach(Service()) as here:
        with pytest.raises(UnreachableError) as caught:
            await call(here.ref, timeout)
    assert caught.value.remote == NOBODY
    assert caught.value.why in (NO_WIRE, "no such actor is online")


async def test_the_time_of_a_call_to_an_offline_actor_ends_with_what_signaling_has_said(
    url: str,
) -> None:
    async with System(config("ann", url)).attach(Service()) as here:
        with pytest.raises(UnreachableError):
            await unary(here.ref, 0.0)
        link = here.assembly.transport.link(ActrId.parse(NOBODY))
        await eventually(lambda: link.view().trouble != "")
        with pytest.raises(UnreachableError, match="no such actor is online"):
            await unary(here.ref, 0.0)


async def test_a_far_side_that_is_there_and_slow_is_a_deadline(url: str) -> None:
    async with (
        System(config("room", url)).attach(Slow()),
        System(config("ann", url)).attach(Service()) as here,
    ):
        client = ChatClient(here.ref.to(ROOM))
        await client.history(pb.HistoryRequest(), timeout=20)
        # Of two processes' timers the handler's may be the first; a tell has no handler's.
        stream = client.messages(pb.MessagesRequest(), timeout=3)
        with pytest.raises(PeerError) as caught:
            async for _ in stream:
                pass
        assert not isinstance(caught.value, UnreachableError | BrokenError)


async def test_a_link_that_is_lost_is_named(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.signaling() as url, place.room() as room:
        async with System(config("ann", url)).attach(Service()) as here:
            client = ChatClient(here.ref.to(REMOTE_ROOM))
            await client.history(pb.HistoryRequest(), timeout=20)
            link = here.assembly.transport.link(ActrId.parse(REMOTE_ROOM))
            room.kill()
            await eventually(lambda: not link.is_ready)
            with pytest.raises(BrokenError, match=f"from {REMOTE_ROOM} in 0 s: the link to it"):
                await client.say(pb.SayRequest(), timeout=0.0)


async def test_signaling_that_is_away_is_named() -> None:
    async with (
        SignalingService() as service,
        System(config("ann", service.url)).attach(Service()) as here,
    ):
        await service.stop()
        await eventually(lambda: here.assembly.signaling.trouble != "")
        with pytest.raises(UnreachableError, match=f"signaling at {service.url} is away: "):
            await unary(here.ref, SHORT)


async def test_a_durable_call_that_is_kept_says_why_nothing_came(url: str, tmp_path: Path) -> None:
    kept = replace(config("ann", url), mailbox_path=tmp_path / "mailbox.db")
    asked = CallOptions(timeout=2.0, durable="key")
    async with System(kept).attach(Service()) as here:
        caller, why = here.ref.to(NOBODY), partial(here.assembly.durable.why, ActrId.parse(NOBODY))
        for _ in range(2):
            with pytest.raises(DeadlineError, match=r"in 2 s \(.+\); the call is kept"):
                await caller.unary(ChatService.SAY, pb.SayRequest(), asked)
            await eventually(lambda: "no such actor is online" in why())


class FakeLink:
    """As ready as a test says."""

    def __init__(self, *, is_ready: bool, was_ready: bool, trouble: str = "") -> None:
        self.is_ready, self.was_ready, self.trouble = is_ready, was_ready, trouble

    def view(self) -> FakeLink:
        return self


@pytest.mark.parametrize(
    ("link", "away", "error", "said"),
    [
        (None, "", DeadlineError, "no reply"),
        (FakeLink(is_ready=True, was_ready=True), "away", DeadlineError, "no reply"),
        (FakeLink(is_ready=False, was_ready=True), "", BrokenError, "no reply: the link to it"),
        (FakeLink(is_ready=False, was_ready=True, trouble="cut"), "", BrokenError, "lost (cut)"),
        (FakeLink(is_ready=False, was_ready=False), "", UnreachableError, NO_WIRE),
        (FakeLink(is_ready=False, was_ready=False), "away", UnreachableError, ": away"),
        (
            FakeLink(is_ready=False, was_ready=False, trouble="offline"),
            "away",
            UnreachableError,
            ": offline",
        ),
    ],
)
def test_the_last_that_is_known_is_the_error(
    link: FakeLink | None, away: str, error: type[PeerError], said: str
) -> None:
    known = late(ROOM, cast(Link, link), "no reply", away)
    assert type(known) is error
    assert said in str(known)
    assert bool(last_known(cast(Link, link), away)) is not isinstance(known, DeadlineError)


async def test_a_start_where_nobody_listens_is_over_soon_and_where_somebody_does_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # which says nothing
        port = listener.getsockname()[1]
        silent = NodeConfig(
            id=ROOM, signaling_url=f"ws://127.0.0.1:{port}/v1/ws", start_timeout=1, absent_timeout=0
        )
        with pytest.raises(UnreachableError, match="not registered within 1"):
            await System(silent).attach(Service()).start()
    gone = replace(silent, start_timeout=60, absent_timeout=0.5)
    with pytest.raises(
        UnreachableError, match=r"not registered within 0\.\d+ s: ConnectionRefused"
    ):
        await System(gone).attach(Service()).start()
