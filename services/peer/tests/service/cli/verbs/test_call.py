"""``actr call`` of an actor that tells its contract: all four kinds, from where, what is said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from actr_peer.cli.exits import Exit
from peer_kit.place import ROOM, Place

pytestmark = pytest.mark.service
NOBODY = "demo:nobody@1:default"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"))
    with made.signaling(), made.room():
        yield made


def test_all_four_kinds_need_no_generated_module(place: Place) -> None:
    said = place.run("call", ROOM, "demo.Chat/Say", '{"author": "ann", "text": "hello"}')
    assert int(json.loads(said.stdout)["number"]) > 0
    lines = place.run("call", ROOM, "Messages", '{"testLines": 2}')
    assert [json.loads(line)["number"] for line in lines.stdout.splitlines()] == ["1", "2"]
    pieces = ('{"header": {"name": "a", "sizeBytes": "3"}}', '{"data": "YWJj"}')
    sent = place.run("call", ROOM, "Upload", *pieces)
    assert json.loads(sent.stdout)["sizeBytes"] == "3"
    back = place.run("call", ROOM, "Cursors", '{"who": "ann"}', '{"who": "bob"}')
    assert [json.loads(line)["who"] for line in back.stdout.splitlines()] == ["ann", "bob"]
    assert [said.returncode, lines.returncode, sent.returncode, back.returncode] == [Exit.OK] * 4


def test_requests_come_from_files_and_from_standard_input(place: Place) -> None:
    Path(place.folder, "moves.json").write_text('{"who": "ann"}\n{"who":\n"bob"}', "utf-8")
    stdin = '{"who": "cid"}\n\n{"who": "dan"}\n'
    back = place.run("call", ROOM, "Cursors", "@moves.json", "-", stdin=stdin)
    assert [json.loads(line)["who"] for line in back.stdout.splitlines()] == [
        "ann",
        "bob",
        "cid",
        "dan",
    ]


def test_a_verbose_call_says_method_wire_and_times(place: Place) -> None:
    said = place.run("call", ROOM, "Say", '{"author": "ann"}', "-v", "--metadata", "a=b")
    assert said.returncode == Exit.OK
    assert "demo.Chat.Say: unary, RPC_RELIABLE, to demo:room@1:default" in said.stderr
    assert re.search(r"connected in [\d.]+ ms", said.stderr)
    assert re.search(r"replies: 1 in [\d.]+ ms by (webrtc|websocket)", said.stderr)


def test_a_document_has_replies_wire_times_and_no_error(place: Place) -> None:
    said = place.run("call", ROOM, "Messages", '{"testLines": 3}', "--json")
    document = json.loads(said.stdout)
    assert [reply["number"] for reply in document["replies"]] == ["1", "2", "3"]
    assert document["method"] == "demo.Chat.Messages"
    assert document["wire"] in ("webrtc", "websocket")
    assert document["call_ms"] > 0
    assert document["error"] is None


def test_a_document_of_a_failed_call_has_the_error(place: Place) -> None:
    said = place.run("call", ROOM, "Say", '{"text": "x"}', "--json")
    document = json.loads(said.stdout)
    assert said.returncode == document["error"]["exit"] == Exit.REFUSED
    assert "a line has an author" in document["error"]["text"]
    assert document["replies"] == []


def test_the_best_actor_of_a_type_is_called(place: Place) -> None:
    said = place.run("call", "demo:room", "Say", '{"author": "ann"}', "--json")
    document = json.loads(said.stdout)
    assert (document["asked"], document["actor"]) == ("demo:room", ROOM)
    told = place.run("describe", "demo:room", "demo.Chat/Say")
    assert told.returncode == Exit.OK
    none = place.run("call", "demo:nobody", "Say")
    assert none.returncode == Exit.UNREACHABLE
    assert "no actor of this type is online" in none.stderr
    kept = place.run("call", "demo:room", "Say", "--durable", "k")
    assert kept.returncode == Exit.USAGE


def test_a_durable_call_with_the_key_of_an_earlier_one_runs_nothing_twice(place: Place) -> None:
    arguments = ("call", ROOM, "Say", '{"author": "ann"}', "--durable")
    first, again = place.run(*arguments, "key-1"), place.run(*arguments, "key-1")
    other = place.run(*arguments, "key-2")
    assert first.stdout == again.stdout
    assert int(json.loads(other.stdout)["number"]) == int(json.loads(first.stdout)["number"]) + 1


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("Sya",), Exit.USAGE, f"method 'Sya' of {ROOM} is not there; did you mean demo.Chat.Say?"),
        (("Say", '{"autor": "x"}'), Exit.USAGE, "demo.SayRequest has author, text"),
        (("Say", "{}", "{}"), Exit.USAGE, "takes one request, not 2"),
        (("Cursors", "{}", '{"whom": "x"}'), Exit.USAGE, "CursorMove has who, x, y"),
        (("Messages", "{}", "--durable", "k"), Exit.USAGE, "is a stream"),
        (("Say", "{}", "--metadata", "a"), Exit.USAGE, "write key=value"),
        (("Say", "@none.json"), Exit.USAGE, "cannot read none.json"),
    ],
)
def test_a_call_that_cannot_be_made_says_why_in_one_line(
    place: Place, arguments: tuple[str, ...], status: Exit, words: str
) -> None:
    ended = place.run("call", ROOM, *arguments)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_the_start_counts_in_the_timeout(place: Place) -> None:
    nowhere = {"ACTR_SIGNALING__URL": "ws://127.0.0.1:1/v1/ws"}
    ended = place.run("call", ROOM, "Say", "--timeout", "0.05", **nowhere)
    assert ended.returncode in (Exit.DEADLINE, Exit.UNREACHABLE)
    assert "ws://127.0.0.1:1/v1/ws" in ended.stderr


@pytest.mark.parametrize("verb", [("call", ROOM, "Say"), ("describe", ROOM), ("ls",)])
@pytest.mark.parametrize("time", [(), ("--timeout", "1.5")])
def test_signaling_that_is_absent_is_told_with_what_to_do(
    place: Place, verb: tuple[str, ...], time: tuple[str, ...]
) -> None:
    nowhere = {"ACTR_SIGNALING__URL": "ws://127.0.0.1:1/v1/ws"}
    ended = place.run(*verb, *time, **nowhere)
    assert ended.returncode == Exit.UNREACHABLE
    assert "cannot reach signaling at ws://127.0.0.1:1/v1/ws: " in ended.stderr
    assert "ConnectionRefusedError" in ended.stderr
    assert "start 'actr dev' or 'actr-signaling', or name another with --signaling" in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", [("call", NOBODY, "Say"), ("describe", NOBODY)])
def test_an_actor_that_is_offline_is_unreachable_however_short_the_time(
    place: Place, verb: tuple[str, ...]
) -> None:
    ended = place.run(*verb, "--timeout", "1.5")
    assert ended.returncode == Exit.UNREACHABLE
    assert f"cannot reach {NOBODY}: no such actor is online" in ended.stderr


def test_an_actor_that_tells_nothing_is_called_with_its_module(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.signaling(), place.room(ACTR_ACTOR__REFLECTION="false"):
        refused = place.run("call", ROOM, "Say", '{"author": "ann"}')
        assert refused.returncode == Exit.REFUSED
        assert f"{ROOM} tells no contract; name its generated module" in refused.stderr
        assert place.call(ROOM, "Say", '{"author": "ann"}').returncode == Exit.OK
