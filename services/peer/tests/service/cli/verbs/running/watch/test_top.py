"""``actr top``: real actors, in a pipe."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from actr_peer.cli.exits import Exit
from peer_kit.place import ROOM, Place

pytestmark = pytest.mark.service
OTHER = "demo:room@2:default"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"))
    made.environment["XDG_RUNTIME_DIR"] = str(made.folder)
    made.environment["ACTR_CONTROL__SOCKET"] = ".actr/{id}/control.sock"
    with made.signaling():
        yield made


def looks(top: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """Each look, by id of the actors in it."""
    assert top.stdout is not None
    for line in top.stdout:
        yield {actor["id"]: actor for actor in json.loads(line)["actors"]}


def test_calls_are_counted_and_an_actor_that_comes_or_ends_does_so_here(place: Place) -> None:
    with place.room(), place.process("actr_peer", "top", "--json", "--every", "0.2") as top:
        assert next(looks(top)).keys() == {ROOM}
        with place.process("actr_peer", "run", "workload:Room", ACTR_ACTOR__ID=OTHER) as other:
            place.wait_until_ready(other)
            assert any(OTHER in look for look in looks(top))
        assert any(OTHER not in look for look in looks(top))
        assert place.call(ROOM, "Say", '{"author": "a", "text": "b"}').returncode == Exit.OK
        called = next(look for look in looks(top) if look[ROOM]["rates"]["calls_in"])
        assert called[ROOM]["rates"]["p50_ms"] > 0
        top.send_signal(signal.SIGINT)
        top.communicate(timeout=60)
        assert top.returncode == Exit.OK


def test_one_look_is_a_table_and_of_those_that_are_named(place: Place) -> None:
    with place.room():
        shown = place.run("top", ROOM, "--once", "--every", "0.2")
        other = place.run("top", OTHER, "--once")
    assert shown.returncode == Exit.OK, shown.stderr
    assert "1 actor " in shown.stdout
    assert ROOM in shown.stdout
    assert (other.returncode, other.stdout) == (Exit.UNREACHABLE, "")
    assert f"{OTHER} does not run here" in other.stderr


def test_where_nobody_runs_it_says_so(place: Place) -> None:
    ended = place.run("top", "--once")
    assert ended.returncode == Exit.UNREACHABLE
    assert "nobody runs here" in ended.stderr
