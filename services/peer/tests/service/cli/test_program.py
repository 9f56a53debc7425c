"""``actr_peer.run`` as programs call it: real processes, their exit codes and their last words."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actr_peer.cli.exits import Exit
from peer_kit.place import ROOM, Place, line_of

pytestmark = pytest.mark.service

SERVES = """
import actr_peer
from workload import Room

actr_peer.run(Room)
"""
CALLS = """
import actr_peer
from actr.demo.chat_actr import ChatClient
from actr.demo.chat_pb2 import SayRequest


async def main():
    async with actr_peer.connect() as ref:
        reply = await ChatClient(ref.to("demo:room@1:default")).say(SayRequest(author="a"))
        return reply.number


print("line", actr_peer.run(main))
"""
BREAKS = """
import actr_peer
from workload import Room


class Broken(Room):
    def __init__(self):
        self.doors = {}["door"]


actr_peer.run(Broken)
"""
BESIDE = """
import asyncio
import actr_peer
from actr.demo.chat_actr import ChatClient
from actr.demo.chat_pb2 import SayRequest
from workload import Room


async def main(ref):
    reply = await ChatClient(ref).say(SayRequest(author="a"))
    print(type(asyncio.get_running_loop()).__module__, str(ref.id), reply.number, flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)


actr_peer.run(main, Room())
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    del made.environment["ACTR_CONTROL__SOCKET"]
    with made.signaling():
        yield made


def write(place: Place, text: str) -> None:
    (place.folder / "program.py").write_text(text, encoding="utf-8")


def ended(place: Place, text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    write(place, text)
    return subprocess.run(
        [sys.executable, "program.py"],
        capture_output=True,
        text=True,
        cwd=place.folder,
        env=place.environment | environment,
        timeout=60,
        check=False,
    )


def test_a_workload_runs_until_it_is_asked_to_stop_and_answers_ps(place: Place) -> None:
    write(place, SERVES)
    with place.process("program", ACTR_ACTOR__ID=ROOM) as room:
        place.wait_until_ready(room)
        status = json.loads(place.run("ps", "--json", "--id", ROOM).stdout)
        assert (status["id"], status["pid"]) == (ROOM, room.pid)
        called = ended(place, CALLS)
        room.send_signal(signal.SIGTERM)
        assert room.wait(timeout=60) == Exit.OK
    assert (called.stdout, called.returncode) == ("line 1\n", Exit.OK)
    assert called.stderr == "", "who only calls has its own to show"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_main_beside_its_actor_is_cancelled_by_signals(
    place: Place, number: signal.Signals
) -> None:
    write(place, BESIDE)
    with place.process("program", ACTR_ACTOR__ID=ROOM) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == f"uvloop {ROOM} 1\n"
        program.send_signal(number)
        out, _ = program.communicate(timeout=60)
    assert (out, program.returncode) == ("cleaned up\n", Exit.INTERRUPTED)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", [("program",), ("actr_peer", "run", "workload:Room")])
def test_a_start_can_be_stopped(
    place: Place, command: tuple[str, ...], number: signal.Signals
) -> None:
    write(place, SERVES)
    nowhere = "ws://127.0.0.1:1/v1/ws"
    with place.process(*command, ACTR_ACTOR__ID=ROOM, ACTR_SIGNALING__URL=nowhere) as program:
        line_of(program.stderr, "signaling lost")
        program.send_signal(number)
        _, said = program.communicate(timeout=60)
    assert program.returncode == Exit.INTERRUPTED
    assert "Traceback" not in said


def test_a_main_ends_when_a_newer_process_is_its_actor(place: Place) -> None:
    write(place, BESIDE)
    with place.process("program", ACTR_ACTOR__ID=ROOM, ACTR_CONTROL__SOCKET="") as program:
        assert program.stdout is not None
        program.stdout.readline()
        with place.room(ACTR_CONTROL__SOCKET=""):
            out, said = program.communicate(timeout=60)
    assert (out, program.returncode) == ("cleaned up\n", Exit.BUSY)
    assert f"a newer process has the identity {ROOM}" in said


UNREACHABLE = CALLS.replace("connect()", "connect('ws://127.0.0.1:1/v1/ws')")
HALF = """
import actr_peer
from actr.demo.chat_actr import ChatService


class Half(ChatService):
    pass


actr_peer.run(Half)
"""
NOT_ASYNC = """
import actr_peer
from workload import Room


class Wrong(Room):
    def say(self, request, ctx):
        pass


actr_peer.run(Wrong())
"""
NO_ACTOR = """
import actr_peer
from workload import Room


async def main():
    pass


actr_peer.run(main, Room())
"""


@pytest.mark.parametrize(
    ("text", "environment", "status", "words"),
    [
        (
            UNREACHABLE,
            {},
            Exit.UNREACHABLE,
            "program.py: cannot reach signaling at ws://127.0.0.1:1",
        ),
        (
            CALLS,
            {"ACTR_CALLS__TIMEOUT_S": "soon"},
            Exit.USAGE,
            "program.py: calls.timeout_s = 'soon'",
        ),
        (CALLS, {}, Exit.UNREACHABLE, "program.py: cannot reach demo:room@1:default"),
        (
            HALF,
            {},
            Exit.USAGE,
            "program.py: Half has no handler of demo.Chat.Say: write `async def",
        ),
        (NOT_ASYNC, {}, Exit.USAGE, "program.py: Wrong.say is not async"),
        (NO_ACTOR, {}, Exit.BROKEN, "write `async def main(ref)` to have one"),
        (
            "import actr_peer\ndef main(): ...\nactr_peer.run(main)",
            {},
            Exit.USAGE,
            "main is not async",
        ),
        ("import actr_peer; actr_peer.run(3)", {}, Exit.USAGE, "program.py: int is no service"),
        (BREAKS, {}, Exit.USAGE, "program.py:8: KeyError: 'door' (ACTR_LOG__LEVEL=debug shows"),
    ],
    ids=[
        "signaling",
        "configuration",
        "actor",
        "half",
        "not async",
        "no actor",
        "no coroutine",
        "no workload",
        "a constructor that raises",
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(
    place: Place, text: str, environment: dict[str, str], status: Exit, words: str
) -> None:
    failed = ended(place, text, **environment)
    assert failed.returncode == status
    last = failed.stderr.splitlines()[-1]
    assert words in last
    assert "Traceback" not in failed.stderr


def test_an_error_that_nobody_meant_has_its_traceback(place: Place) -> None:
    failed = ended(place, "import actr_peer\nasync def main(): {}['x']\nactr_peer.run(main)")
    assert failed.returncode == 1
    assert "KeyError: 'x'" in failed.stderr


def test_two_actors_on_one_machine_need_nothing_but_their_ids(tmp_path: Path) -> None:
    """
    1. Two rooms start in one folder, with ids and nothing else; each keeps its own.
    2. A call to the second, and one from the first's id to the second, are answered.
    3. A second process of the first's id is refused, and told who has it; the first goes on.
    """
    place = Place(tmp_path)
    for key in ("ACTR_WIRES__LISTEN", "ACTR_MAILBOX__PATH", "ACTR_CONTROL__SOCKET"):
        del place.environment[key]
    first, second = "demo:room@1:default", "demo:room@2:default"
    command = ("actr_peer", "run", "workload:Room", "--id")
    with (
        place.signaling(),
        place.process(*command, first) as one,
        place.process(*command, second) as other,
    ):
        for process in (one, other):
            place.wait_until_ready(process)
        said = place.call(second, "Say", '{"author": "ann"}')
        assert json.loads(said.stdout) == {"number": "1"}
        refused = place.run("run", "workload:Room", "--id", first)
        assert refused.returncode == Exit.BUSY
        assert f"is in use by {first} (pid {one.pid})" in refused.stderr
        assert refused.stderr.count("\n") == 1
        both = place.run("ps")
        assert (both.returncode, both.stderr) == (Exit.OK, "")
        assert first in both.stdout
        assert second in both.stdout
        listed = place.run("mailbox", "list", "--id", first, "--json")
        assert json.loads(listed.stdout)["letters"] == []
    folders = {path.name for path in (tmp_path / ".actr").iterdir() if path.is_dir()}
    assert folders == {first, second}
    assert not list(tmp_path.glob(".actr/*/*outbox*"))
