"""``actr run`` and ``actr call`` against a real signaling service: ends, refusals, exit codes."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from actr_peer.cli.exits import Exit
from actr_peer.node.process.probe import ask
from peer_kit.place import ROOM, Place, line_of

pytestmark = pytest.mark.service


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    with made.signaling():
        yield made


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_actor_ends_gracefully_when_it_is_asked_to(place: Place, number: signal.Signals) -> None:
    with place.room() as room:
        room.send_signal(number)
        assert room.wait(timeout=60) == Exit.OK


def test_an_actor_tells_a_program_that_it_is_ready_and_where(place: Place) -> None:
    control = str(place.folder / "control.sock")
    command = ("actr_peer", "run", "workload:Room", "--id", ROOM, "--json")
    with place.process(*command, ACTR_CONTROL__SOCKET=control) as room:
        assert room.stdout is not None
        told = json.loads(room.stdout.readline())
        assert (told["ready"], told["pid"]) == (ROOM, room.pid)
        host, port = told["address"].removeprefix("ws://").rstrip("/").split("/")[0].split(":")
        with socket.create_connection((host, int(port)), timeout=20):
            pass
        assert told["control"] == control
        (own,) = ask(control, "status")["actors"]
        assert (own["id"], own["ws_address"]) == (ROOM, told["address"])


def test_an_actor_ends_when_a_newer_process_takes_its_identity(place: Place) -> None:
    with place.room() as older, place.room() as newer:
        _, said = older.communicate(timeout=60)
        assert older.returncode == Exit.BUSY
        assert f"a newer process has the identity {ROOM}" in said
        assert newer.poll() is None


def test_a_listener_whose_port_is_in_use_is_refused(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = ("actr_peer", "run", "workload:Room")
        with place.process(*command, ACTR_ACTOR__ID=ROOM, ACTR_WIRES__LISTEN=address) as room:
            _, said = room.communicate(timeout=60)
    assert room.returncode == Exit.BUSY
    assert address.split(":")[1] in said


def test_a_development_mode_says_that_it_is_on(place: Place) -> None:
    command = ("actr_peer", "run", "workload:Room")
    with place.process(*command, ACTR_ACTOR__ID=ROOM) as room:
        warning = line_of(room.stderr, "DEVELOPMENT MODE")
    assert warning["level"] == "warning"


def test_calls_are_json_in_and_json_out(place: Place) -> None:
    with place.room():
        said = place.call(ROOM, "Say", '{"author": "ann", "text": "hello"}')
        assert json.loads(said.stdout) == {"number": "1"}
        lines = place.call(ROOM, "Messages", '{"testLines": 2, "intervalUs": 1000}')
        assert [json.loads(line)["number"] for line in lines.stdout.splitlines()] == ["1", "2"]
        moves = '{"who": "ann", "x": 1}\n\n{"who": "bob", "x": 2}\n'
        back = place.call(ROOM, "Cursors", "-", stdin=moves)
        assert [json.loads(line)["who"] for line in back.stdout.splitlines()] == ["ann", "bob"]
    assert [said.returncode, lines.returncode, back.returncode] == [Exit.OK] * 3


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((ROOM, "Say", '{"text": "x"}'), Exit.REFUSED, "a line has an author"),
        ((ROOM, "Shout"), Exit.USAGE, "method 'Shout'"),
        ((ROOM, "Say", '{"autor": "x"}'), Exit.USAGE, "SayRequest has author, text"),
        (("room", "Say"), Exit.USAGE, "manufacturer:name@instance:realm"),
        (("demo:nobody@1:default", "Say", "{}", "--timeout", "20"), Exit.UNREACHABLE, "nobody"),
        (("demo:room@1:other", "Say", "{}", "--timeout", "20"), Exit.UNREACHABLE, "other"),
    ],
    ids=["refused", "no method", "no request", "no id", "unknown actor", "another realm"],
)
def test_a_call_that_fails_says_why_in_one_line(
    place: Place, arguments: tuple[str, ...], status: Exit, words: str
) -> None:
    with place.room():
        ended = place.call(*arguments)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_an_actor_without_a_signaling_service_says_where_it_looked(tmp_path: Path) -> None:
    place = Place(tmp_path)
    url = "ws://127.0.0.1:1/v1/ws"
    command = ("actr_peer", "run", "workload:Room")
    with place.process(*command, ACTR_ACTOR__ID=ROOM, ACTR_SIGNALING__URL=url) as room:
        _, said = room.communicate(timeout=60)
    assert room.returncode == Exit.UNREACHABLE
    assert url in said
