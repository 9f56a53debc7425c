"""``actr ping``: round trips by each kind of wire."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from actr_peer.cli.exits import Exit
from peer_kit.place import ROOM, Place

pytestmark = [pytest.mark.service, pytest.mark.slow]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"))
    with made.signaling(ACTR_SIGNALING__RELAYED_WIRES="8"), made.room():
        yield made


def test_each_kind_of_wire_has_its_times(place: Place) -> None:
    ended = place.run("ping", "demo:room", "--count", "3", "--interval", "0", "--json")
    assert ended.returncode == Exit.OK, ended.stderr
    document = json.loads(ended.stdout)
    assert document["actor"] == ROOM
    assert [wire["wire"] for wire in document["wires"]] == ["webrtc", "websocket"]
    for wire in document["wires"]:
        assert (wire["sent"], wire["answered"], wire["loss"], wire["error"]) == (3, 3, 0, None)
        assert 0 < wire["min_ms"] <= wire["median_ms"] <= wire["max_ms"]


def test_a_table_shows_them(place: Place) -> None:
    ended = place.run("ping", ROOM, "--count", "1", ACTR_WIRES__PREFER="websocket")
    assert ended.returncode == Exit.OK, ended.stderr
    assert ended.stdout.splitlines()[0] == ROOM
    assert "│ websocket │ 1    │ 1        │ 0%" in ended.stdout
    assert "webrtc" not in ended.stdout


def test_a_kind_of_wire_that_does_not_come_up_is_told_beside_the_other(place: Place) -> None:
    # The same room under another id, which nobody can dial by WebSocket; a wire that signaling
    # would relay is no answer to that.
    own = {"ACTR_ACTOR__ID": "demo:room@deaf:default", "ACTR_WIRES__LISTEN": ""}
    with place.process("actr_peer", "run", "workload:Room", **own) as deaf:
        place.wait_until_ready(deaf)
        ended = place.run("ping", "demo:room@deaf:default", "--count", "1", "--json")
    webrtc, websocket = json.loads(ended.stdout)["wires"]
    assert ended.returncode == Exit.OK
    assert webrtc["answered"] == 1
    assert "no WebSocket listener" in websocket["error"]


def test_an_actor_that_is_offline_is_unreachable(place: Place) -> None:
    ended = place.run("ping", "demo:room@9:default", "--json")
    assert ended.returncode == Exit.UNREACHABLE
    assert "no such actor is online" in json.loads(ended.stdout)["error"]["text"]
