"""How an actor ends: asked from anywhere, at any time, or by a failure of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import ActrRef, Context, System
from actr_peer.cli.exits import Exit
from actr_peer.errors import ClosedError
from actr_peer.node.node import Node
from actr_peer.protocol.signaling.presence import SignalingState
from lab.quiet import Quiet
from peer_kit.place import ROOM, Place
from peer_kit.signaling import config, signaling_service
from peer_kit.signaling.servers import serving

pytestmark = pytest.mark.service


@pytest.fixture
async def signaling() -> AsyncIterator[str]:
    async with signaling_service() as url:
        yield url


class Room(Quiet):
    """A room whose hooks and handler do what a test says."""

    def __init__(self) -> None:
        self.started: Callable[[ActrRef], Awaitable[object]] = self.nothing
        self.ready: Callable[[ActrRef], Awaitable[object]] = self.nothing
        self.kicked: Callable[[ActrRef], Awaitable[object]] = self.nothing
        self.heard: list[str] = []
        self.has_kicked = asyncio.Event()

    async def nothing(self, ref: ActrRef) -> None:
        pass

    async def on_start(self, ref: ActrRef) -> None:
        self.ref = ref
        await self.started(ref)

    async def on_ready(self, ref: ActrRef) -> None:
        await self.ready(ref)

    async def on_stop(self) -> None:
        self.heard.append("stop")

    async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
        await self.kicked(self.ref)
        self.heard.append("kicked")
        self.has_kicked.set()
        return pb.KickReply(was_present=True)


def node_at(url: str, room: Room, seconds: float = 8.0) -> Node:
    return System(config("room", url, close_timeout=seconds)).attach(room)


async def fail() -> None:
    raise ZeroDivisionError("a bug of the runtime")


async def test_a_bug_ends_an_actor_whose_starter_has_ended(signaling: str) -> None:
    node = node_at(signaling, Room())
    ref = await asyncio.gather(node.start())
    node.tasks.start("loop", fail())
    async with asyncio.timeout(60):
        with pytest.raises(ExceptionGroup) as caught:
            await ref[0]
    assert caught.group_contains(ZeroDivisionError)
    assert node.ended.is_set()
    with pytest.raises(ExceptionGroup):
        await node.close()


async def test_a_bug_interrupts_the_block_and_leaves_it_as_a_group(signaling: str) -> None:
    async def live() -> None:
        async with node_at(signaling, Room()) as node:
            node.tasks.start("loop", fail())
            await asyncio.Event().wait()

    async with asyncio.timeout(60):
        with pytest.raises(ExceptionGroup) as caught:
            await live()
    assert caught.group_contains(ZeroDivisionError)
    block = asyncio.current_task()
    assert block is not None
    assert not block.cancelling()


async def test_a_call_that_waits_hears_that_its_actor_has_failed(signaling: str) -> None:
    room = Room()
    node = node_at(signaling, room)
    ref = await node.start()
    begun = asyncio.Event()

    async def wait(_: ActrRef) -> None:
        begun.set()
        await asyncio.Event().wait()

    room.kicked = wait
    call = asyncio.ensure_future(ChatClient(ref).kick(pb.KickRequest()))
    await begun.wait()
    node.tasks.start("loop", fail())
    async with asyncio.timeout(60):
        with pytest.raises(ClosedError):
            await call
        with pytest.raises(ExceptionGroup):
            await ref


async def close(ref: ActrRef) -> None:
    await ref.close()


async def test_a_handler_that_closes_its_actor_returns_and_the_actor_ends(signaling: str) -> None:
    room = Room()
    room.kicked = close
    ref = await node_at(signaling, room).start()
    async with asyncio.timeout(60):
        reply = await ChatClient(ref).kick(pb.KickRequest())
        await ref
    assert reply.was_present
    assert room.heard == ["kicked", "stop"]


async def test_a_hook_that_closes_its_actor_ends_it(signaling: str) -> None:
    room = Room()
    room.ready = close
    ref = await node_at(signaling, room).start()
    async with asyncio.timeout(60):
        await ref
    assert room.heard == ["stop"]


async def test_an_actor_that_closes_itself_as_it_starts_does_not_start(signaling: str) -> None:
    room = Room()
    room.started = close
    node = node_at(signaling, room)
    with pytest.raises(ClosedError):
        await node.start()
    await node.close()
    assert node.view().signaling is SignalingState.CONNECTING


async def test_closing_an_actor_while_it_starts_ends_both_quietly(signaling: str) -> None:
    room, begun = Room(), asyncio.Event()

    async def wait(_: ActrRef) -> None:
        begun.set()
        await asyncio.Event().wait()

    room.started = wait
    node = node_at(signaling, room)
    starting = asyncio.ensure_future(node.start())
    await begun.wait()
    await node.close()
    with pytest.raises(ClosedError):
        await starting
    assert node.ended.is_set()
    assert not node.assembly.network.websocket.address


async def test_closing_an_actor_while_it_registers_ends_both_quietly() -> None:
    asked, released = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await released.wait()

    async with serving(say_nothing) as port:
        node = node_at(f"ws://127.0.0.1:{port}/v1/ws", Room())
        starting = asyncio.ensure_future(node.start())
        await asked.wait()
        await node.close()
        with pytest.raises(ClosedError):
            await starting
        released.set()
    assert node.ended.is_set()


async def test_a_handler_that_does_not_end_is_named_and_left_behind(
    signaling: str, caplog: pytest.LogCaptureFixture
) -> None:
    room, begun, released = Room(), asyncio.Event(), asyncio.Event()

    async def never_mind(_: ActrRef) -> None:
        begun.set()
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()

    room.kicked = never_mind
    node = node_at(signaling, room, seconds=0.5)
    ref = await node.start()
    call = asyncio.ensure_future(ChatClient(ref).kick(pb.KickRequest()))
    await begun.wait()
    await node.close()
    assert "left behind, although cancelled: scheduler/job" in caplog.text
    assert room.heard == ["stop"]
    with pytest.raises(ClosedError):
        await call
    released.set()
    await room.has_kicked.wait()
    assert not node.view().mailbox.depth


async def test_closing_goes_on_when_whoever_waits_for_it_is_cancelled(signaling: str) -> None:
    node = node_at(signaling, Room())
    ref = await node.start()
    closing = asyncio.ensure_future(node.close())
    await asyncio.sleep(0)
    closing.cancel()
    async with asyncio.timeout(60):
        await ref


def test_a_process_whose_actor_fails_ends_with_a_traceback(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "broken.py").write_text(
        "from actr_peer.cli.demo.room import Room as Working\n"
        "async def fail():\n"
        "    raise ZeroDivisionError('a bug of the runtime')\n"
        "class Room(Working):\n"
        "    async def on_ready(self, ref):\n"
        "        ref.node.tasks.start('loop', fail())\n",
        "utf-8",
    )
    command = ("actr_peer", "run", "broken:Room")
    with place.signaling(), place.process(*command, ACTR_ACTOR__ID=ROOM) as room:
        _, said = room.communicate(timeout=60)
    assert room.returncode == Exit.FAILED
    assert "the actor has failed" in said
    assert "ZeroDivisionError: a bug of the runtime" in said
