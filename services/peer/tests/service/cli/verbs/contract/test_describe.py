"""``actr describe`` of a running actor, as text and as a document."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from actr.demo.chat_actr import ChatService
from actr_peer.cli.exits import Exit
from peer_kit.place import ROOM, Place

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"))
    with made.signaling(), made.room():
        yield made


def test_services_methods_and_messages_are_shown(place: Place) -> None:
    told = place.run("describe", ROOM).stdout
    assert f"// fingerprint {ChatService.FINGERPRINT}\nservice demo.Chat {{" in told
    assert "  rpc Kick(demo.KickRequest) returns (demo.KickReply);  // RPC_SIGNAL\n" in told
    assert "message demo.SayRequest {\n  string author = 1;\n  string text = 2;\n}" in told
    assert "actr.Files" not in told
    assert "service actr.Files {" in place.run("describe", ROOM, "--all").stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("demo.Chat", "service demo.Chat {"),
        ("demo.Chat/Say", "rpc Say(demo.SayRequest) returns (demo.SayReply);  // RPC_RELIABLE"),
        ("demo.SayReply", "message demo.SayReply {\n  uint64 number = 1;\n}"),
        ("actr.Reflection", "service actr.Reflection {"),
    ],
)
def test_one_name_is_shown_alone(place: Place, name: str, said: str) -> None:
    told = place.run("describe", ROOM, name)
    assert said in told.stdout
    assert told.returncode == Exit.OK


def test_the_document_is_for_programs(place: Place) -> None:
    document = json.loads(place.run("describe", ROOM, "--json").stdout)
    assert document["actor"] == ROOM
    (chat,) = document["services"]
    assert chat["fingerprint"] == ChatService.FINGERPRINT
    assert [m["route_key"] for m in chat["methods"]] == [m.route_key for m in ChatService.METHODS]


def test_a_name_that_is_not_there_is_told_with_the_nearest(place: Place) -> None:
    told = place.run("describe", ROOM, "demo.Chat/Sya")
    assert told.returncode == Exit.USAGE
    assert "did you mean demo.Chat.Say?" in told.stderr
