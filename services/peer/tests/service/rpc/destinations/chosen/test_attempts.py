"""Actors of a type as processes, and one of them killed under load: what ran, and how often."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from subprocess import Popen

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer import ActrId, ActrRef, Context, MayHaveRunError, NodeConfig, Service, System
from actr_peer.cli.demo.room import Room
from actr_peer.rpc.destinations.scope import ROOT
from actr_peer.rpc.remote import RemoteGate
from peer_kit.links import eventually
from peer_kit.place import Place
from peer_kit.signaling import config, signaling_service

pytestmark = pytest.mark.service

WORKLOAD = """
import os
from pathlib import Path
from actr.demo import chat_pb2 as pb
from lab.quiet import Quiet

class Room(Quiet):
    "Writes down each run before it answers."

    def __init__(self):
        self.name = os.environ["NAME"]
        self.runs = Path("runs-" + self.name).open("a", buffering=1)

    async def say(self, request, ctx):
        self.runs.write(request.text + "\\n")
        return pb.SayReply(number=int(self.name))

    async def history(self, request, ctx):
        self.runs.write(f"history {request.limit}\\n")
        return pb.HistoryReply(messages=[pb.ChatMessage(author=self.name)])
"""
SIZE = 3
WORKERS = 8
"""Callers at one time, of each method."""
EACH = 60
"""Calls of each of them."""


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[tuple[Place, dict[str, Popen[str]]]]:
    place = Place(tmp_path)
    (tmp_path / "workload.py").write_text(WORKLOAD, "utf-8")
    place.environment["PYTHONPATH"] = str(Path(__file__).parents[7])
    with place.signaling(), ExitStack() as stack:
        started = {}
        for name in map(str, range(1, SIZE + 1)):
            command = ("actr_peer", "run", "workload:Room")
            own = {"ACTR_ACTOR__ID": f"demo:room@{name}:default", "NAME": name}
            started[name] = stack.enter_context(place.process(*command, **own))
        for room in started.values():
            place.wait_until_ready(room)
        yield place, started


def runs_of(folder: Path) -> dict[str, list[str]]:
    """What each room has run."""
    return {
        path.name.removeprefix("runs-"): path.read_text("utf-8").splitlines()
        for path in folder.glob("runs-*")
    }


class Load:
    """Many callers of one type, and what became of their calls."""

    def __init__(self, ref: ActrRef) -> None:
        self.said: list[str] = []
        """Texts of the calls that were answered."""
        self.in_doubt: list[str] = []
        """Of those that may have run."""
        self.histories = 0
        self.chosen: asyncio.Queue[str] = asyncio.Queue()
        """Who has answered."""
        self._client = ChatClient(ref.any("demo:room"))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as callers:
            for number in range(WORKERS):
                callers.create_task(self._say(number))
                callers.create_task(self._ask(number))

    async def _say(self, worker: int) -> None:
        for number in range(EACH):
            text = f"say {worker} {number}"
            try:
                reply = await self._client.say(pb.SayRequest(text=text), timeout=120)
            except MayHaveRunError:
                self.in_doubt.append(text)
            else:
                self.said.append(text)
                self.chosen.put_nowait(str(reply.number))

    async def _ask(self, worker: int) -> None:
        for number in range(EACH):
            limit = worker * EACH + number
            await self._client.history(pb.HistoryRequest(limit=limit), timeout=120)
            self.histories += 1


async def test_a_kill_under_load_costs_no_call_that_may_run_twice_and_runs_no_other_twice(
    rooms: tuple[Place, dict[str, Popen[str]]], tmp_path: Path
) -> None:
    place, started = rooms
    url = place.environment["ACTR_SIGNALING__URL"]
    caller = NodeConfig(id=ActrId("demo", "caller", "1"), signaling_url=url, health_interval=1.0)
    async with System(caller).attach(Service()) as node:
        load = Load(node.ref)
        running = asyncio.create_task(load.run())
        chosen = [await load.chosen.get() for _ in range(WORKERS * 4)][-1]
        started[chosen].send_signal(signal.SIGKILL)
        await running
    by_room = runs_of(tmp_path)
    runs = Counter(text for lines in by_room.values() for text in lines)
    assert load.histories == WORKERS * EACH
    assert all(runs[f"history {number}"] >= 1 for number in range(WORKERS * EACH))
    assert len(load.said) + len(load.in_doubt) == WORKERS * EACH
    assert len(load.in_doubt) <= WORKERS  # those that were under way
    assert {text: runs[text] for text in load.said if runs[text] != 1} == {}
    assert {text: runs[text] for text in load.in_doubt if runs[text] > 1} == {}
    assert [name for name in by_room if name != chosen and by_room[name]]
    assert by_room[chosen]


async def test_a_key_goes_to_one_actor_whoever_calls(
    rooms: tuple[Place, dict[str, Popen[str]]],
) -> None:
    place, _ = rooms
    url = place.environment["ACTR_SIGNALING__URL"]
    answered: dict[str, set[int]] = {}
    for name in ("ann", "bob"):
        caller = NodeConfig(id=ActrId("demo", name, "1"), signaling_url=url)
        async with System(caller).attach(Service()) as node:
            for key in map(str, range(12)):
                client = ChatClient(node.ref.any("demo:room", key=key))
                reply = await client.say(pb.SayRequest(text=key), timeout=60)
                answered.setdefault(key, set()).add(reply.number)
            history = await node.ref.call(
                node.ref.any("demo:room", key="0"), pb.HistoryRequest(), timeout=60
            )
            assert isinstance(history, pb.HistoryReply)
            assert {int(history.messages[0].author)} == answered["0"]
    assert all(len(numbers) == 1 for numbers in answered.values())
    assert len(set().union(*answered.values())) > 1


class Busy(Room):
    """Keeps one call until it is let go, for the end of the actor waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()

    async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
        self.begun.set()
        await self.let_go.wait()
        return pb.KickReply()


async def test_streams_to_an_actor_that_closes_are_opened_at_another_one() -> None:
    async def pieces() -> AsyncIterator[pb.FilePiece]:
        yield pb.FilePiece(header=pb.FileHeader(size_bytes=0))

    async def moves() -> AsyncIterator[pb.CursorMove]:
        yield pb.CursorMove(who="ann")

    busy = Busy()
    async with (
        signaling_service() as url,
        System(config("caller", url)).attach(Service()) as here,
        asyncio.TaskGroup() as tasks,
        System(config("room", url)).attach(busy) as closing,
    ):
        rooms = here.ref.any("acme:room")
        client = ChatClient(rooms)
        await client.history(pb.HistoryRequest())
        other = replace(config("room", url), id=ActrId("acme", "room", "2"))
        async with System(other).attach(Room()):
            tasks.create_task(client.kick(pb.KickRequest()))
            await busy.begun.wait()
            ended = tasks.create_task(closing.close())
            async with asyncio.timeout(60):
                await eventually(lambda: closing.assembly.stream_handlers._is_closed)
                assert [each async for each in client.messages(pb.MessagesRequest(test_lines=2))]
                assert (await client.upload(pieces())).size_bytes == 0
                assert [each.who async for each in client.cursors(moves())] == ["ann"]
            busy.let_go.set()
            await ended


async def test_what_has_left_and_asks_for_an_answer_is_counted() -> None:
    async def pieces() -> AsyncIterator[pb.FilePiece]:
        yield pb.FilePiece(header=pb.FileHeader(size_bytes=0))

    async def moves() -> AsyncIterator[pb.CursorMove]:
        yield pb.CursorMove()

    async with (
        signaling_service() as url,
        System(config("room", url)).attach(Room()) as room,
        System(config("caller", url)).attach(Service()) as here,
    ):
        gates = [RemoteGate(here.assembly.outbound, room.id, ROOT) for _ in range(5)]
        say, tell, upload, presence, cursors = map(ChatClient, gates)
        await say.say(pb.SayRequest(author="ann", text="hello"))
        await tell.tell(ChatService.SAY, pb.SayRequest(author="ann", text="hello"))
        await upload.upload(pieces())
        async with aclosing(presence.presence(pb.PresenceRequest())) as changes:  # type: ignore[type-var]
            await anext(changes)
        async with aclosing(cursors.cursors(moves())) as back:  # type: ignore[type-var]
            await anext(back)
        assert [gate.sent for gate in gates] == [1, 0, 1, 1, 1]
