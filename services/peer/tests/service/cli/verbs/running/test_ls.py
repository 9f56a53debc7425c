"""``actr ls``: who is online, once and as it changes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from actr.demo.chat_actr import ChatService
from actr_peer.cli.exits import Exit
from peer_kit.place import ROOM, Place, line_of

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"))
    with made.signaling():
        yield made


def test_actors_are_listed_with_whole_ids_services_and_load(place: Place) -> None:
    long = f"demo:{'r' * 63}@{'1' * 63}:default"
    run = ("actr_peer", "run", "workload:Room")
    with place.room(), place.process(*run, ACTR_ACTOR__ID=long) as other:
        line_of(other.stderr, "actor ready")
        table = place.run("ls").stdout
        (only,) = json.loads(place.run("ls", "demo:room", "--json").stdout)["actors"]
    assert ROOM in table
    assert long in table
    assert "metadata" not in table  # nobody has any
    assert f"demo.Chat {ChatService.FINGERPRINT[:8]}" in table
    assert only["id"] == ROOM
    assert only["services"] == {"demo.Chat": ChatService.FINGERPRINT}
    assert only["waiting"] == 0


def test_who_comes_and_goes_is_a_line_each_in_a_pipe(place: Place) -> None:
    with place.process("actr_peer", "ls", "demo:room", "--watch") as watch:
        assert watch.stdout is not None
        with place.room():
            came = json.loads(watch.stdout.readline())
        went = json.loads(watch.stdout.readline())
    assert (came["change"], came["id"]) == ("online", ROOM)
    assert (went["change"], went["id"]) == ("offline", ROOM)


def test_the_actors_behind_verbs_are_not_shown(place: Place) -> None:
    assert json.loads(place.run("ls", "--json").stdout) == {"actors": []}


def test_what_is_no_type_is_refused(place: Place) -> None:
    ended = place.run("ls", ROOM)
    assert ended.returncode == Exit.USAGE
    assert "write manufacturer:name" in ended.stderr
