"""What goes wrong first, as a newcomer meets it: one sentence each, with what to do.

A handler's mistake, another contract, a dead remote, no signaling service, a taken identity: by
``actr call``, by ``actr run``, and in a program of one's own.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer import ActrId, NodeConfig, Service, System, connect
from actr_peer.cli.exits import Exit
from actr_peer.errors import BusyError, CallError, Code, UnreachableError
from actr_peer.service import CallOptions
from peer_kit.place import ROOM, Place

pytestmark = pytest.mark.service

NOWHERE = "ws://127.0.0.1:1/v1/ws"
WORKLOAD = """
from actr_peer.cli.demo.room import Room as Demo


class Room(Demo):
    async def kick(self, request, ctx):
        raise KeyError("who is not known")


class Failing(Demo):
    def __init__(self):
        raise OSError("no database")


class Late(Demo):
    def say(self, request, ctx):
        return None
"""
CONTRACT = """
from dataclasses import replace

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatService


class OtherService(ChatService):
    SERVICE_NAME = "demo.Chat"
    METHODS = (replace(ChatService.SAY, request=pb.HistoryRequest),)
"""
SOON = CallOptions(timeout=20)
OTHER = replace(ChatService.SAY, request=pb.HistoryRequest)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"))
    Path(made.folder, "workload.py").write_text(WORKLOAD, "utf-8")
    Path(made.folder, "other.py").write_text(CONTRACT, "utf-8")
    with made.signaling():
        yield made


def said_by(ended: subprocess.CompletedProcess[str], status: Exit) -> str:
    """The one sentence."""
    assert (ended.returncode, ended.stdout) == (status, ""), ended.stderr
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("actr: ")
    return ended.stderr.removeprefix("actr: ").rstrip("\n")


async def test_a_failing_handler_is_found_in_its_log_by_what_the_caller_is_told(
    place: Place,
) -> None:
    with place.room() as room:
        said = said_by(place.run("call", ROOM, "Kick", '{"who": "ann"}'), Exit.REFUSED)
        async with connect(place.environment["ACTR_SIGNALING__URL"]) as ref:
            with pytest.raises(CallError) as caught:
                await ChatClient(ref.to(ROOM)).kick(pb.KickRequest(), timeout=20)
        room.terminate()
        _, log = room.communicate(timeout=60)
    told = r"demo\.Chat\.Kick failed with KeyError; its log has it as request ([0-9a-f-]{36})"
    assert caught.value.code is Code.INTERNAL
    for text, caller in ((said, "actr:call@"), (str(caught.value), "actr:caller@")):
        found = re.fullmatch(rf"{told} \(INTERNAL\)", text)
        assert found is not None
        (line,) = [line for line in log.splitlines() if found[1] in line]
        assert f"method=demo.Chat.Kick caller={caller}" in line
        assert f"request={found[1]} try=1" in line
        assert "who is not known" in line
        assert "Traceback" in line


def test_a_workload_that_cannot_be_made_is_its_own_error_with_file_and_line(place: Place) -> None:
    ended = place.run("run", "workload:Failing", ACTR_ACTOR__ID=ROOM)
    said = said_by(ended, Exit.USAGE)
    assert re.match(r"workload\.py:\d+: OSError: no database \(ACTR_LOG__LEVEL=debug ", said)
    more = place.run("run", "workload:Failing", ACTR_ACTOR__ID=ROOM, ACTR_LOG__LEVEL="debug")
    assert more.stderr.splitlines()[-1] == f"actr: {said}"
    assert "Traceback" in more.stderr


def test_a_caller_with_the_id_of_the_actor_that_it_calls_leaves_it_alone(place: Place) -> None:
    with place.room() as room:
        said = said_by(place.run("call", ROOM, "Say", "{}", "--id", ROOM), Exit.USAGE)
        assert said.startswith(f"--id {ROOM} is the actor that 'actr call' asks")
        assert place.run("call", ROOM, "Say", '{"author": "ann"}').returncode == Exit.OK
        assert room.poll() is None


def test_a_handler_of_another_kind_is_told_before_anything_starts(place: Place) -> None:
    ended = place.run("run", "workload:Late", ACTR_ACTOR__ID=ROOM)
    said = said_by(ended, Exit.USAGE)
    assert "Late.say" in said
    assert "async def say" in said


async def test_another_contract_is_told_with_method_field_and_remedy(place: Place) -> None:
    with place.room():
        said = said_by(place.run("call", ROOM, "Say", '{"limit": 1}', "-m", "other"), Exit.REFUSED)
        async with connect(place.environment["ACTR_SIGNALING__URL"]) as ref:
            with pytest.raises(CallError) as caught:
                await ref.to(ROOM).unary(OTHER, pb.HistoryRequest(limit=1), SOON)
    assert caught.value.code is Code.FAILED_PRECONDITION
    assert said == str(caught.value)
    assert said.startswith(f"demo.Chat.Say has another contract at {ROOM}: field 1 of ")
    assert "generate both sides from one .proto" in said


async def test_a_dead_remote_is_unreachable_and_whether_it_runs_is_to_be_seen(place: Place) -> None:
    with place.room() as room:
        room.kill()
        room.wait(timeout=60)
    said = said_by(place.run("call", ROOM, "Say", "{}", "--timeout", "2"), Exit.UNREACHABLE)
    assert said.startswith(f"cannot reach {ROOM}: no such actor is online; check that it runs")
    async with connect(place.environment["ACTR_SIGNALING__URL"]) as ref:
        with pytest.raises(UnreachableError, match=f"cannot reach {ROOM}: "):
            await ChatClient(ref.to(ROOM)).say(pb.SayRequest(), timeout=1)


async def test_signaling_that_is_not_there_is_named_with_what_starts_it(place: Place) -> None:
    nowhere = {"ACTR_SIGNALING__URL": NOWHERE, "ACTR_ACTOR__START_TIMEOUT_S": "1"}
    called = said_by(place.run("call", ROOM, "Say", "{}", **nowhere), Exit.UNREACHABLE)
    listed = said_by(place.run("ls", **nowhere), Exit.UNREACHABLE)
    ran = place.run("run", "workload:Room", ACTR_ACTOR__ID=ROOM, **nowhere)
    assert ran.returncode == Exit.UNREACHABLE
    for said in (called, listed, ran.stderr.splitlines()[-1]):
        assert f"cannot reach signaling at {NOWHERE}: not registered within " in said
        assert "start 'actr dev' or 'actr-signaling', or name another with --signaling" in said
    with pytest.raises(UnreachableError, match=f"signaling at {NOWHERE}: .*ConnectionRefused"):
        await connect(NOWHERE).__aenter__()


async def test_an_identity_that_is_taken_says_who_has_it(place: Place) -> None:
    file = Path(place.folder, "room.db")
    with place.room(ACTR_MAILBOX__PATH=str(file)) as room:
        again = place.run("run", "workload:Room", "--id", ROOM, "--mailbox", str(file))
        own = NodeConfig(
            id=ActrId.parse(ROOM),
            signaling_url=place.environment["ACTR_SIGNALING__URL"],
            mailbox_path=file,
        )
        with pytest.raises(BusyError) as caught:
            await System(own).attach(Service()).start()
    assert again.returncode == Exit.BUSY
    for said in (again.stderr.splitlines()[-1], str(caught.value)):
        assert f"in use by {ROOM} (pid {room.pid}): one actor, one process; stop that one" in said
        assert "or give this one another id (--id, ACTR_ACTOR__ID)" in said
